/** What a pull says, as bars and milestones, or as lines of JSON. */

import type { PullEvent } from "#actors/shard-worker/weights/pull";
import { printJson, type Session } from "../session.ts";
import { shownBytes } from "../terminal/table.ts";

/** `exo pull --json` writes one line per event; bars are for people. */
export function pullProgress(session: Session, model: string): (event: PullEvent) => void {
  const { progress, json, terminal } = session;
  if (json) return (event) => jsonEvent(session, model, event);
  let several = false;
  return (event) => {
    switch (event.type) {
      case "started": {
        several = event.files.length > 1;
        const bytes = event.files.reduce((sum, file) => sum + file.bytes, 0);
        const files = several ? `${event.files.length} files, ` : "";
        progress.milestone(`↓ ${model} from ${event.repository} · ${files}${shownBytes(bytes)}`);
        if (terminal.redraws) progress.status("   ^C pauses; the same command goes on");
        return;
      }
      case "progress":
        return progress.bar(event.file, event.completed, event.bytes);
      case "retry": {
        const what = event.file === undefined ? "the hub" : event.file;
        return progress.milestone(
          `  ${what}: ${event.reason}; trying again in ${Math.ceil(event.waitMs / 1000)} s`,
        );
      }
      case "waiting":
        return progress.status(
          `another exo fetches ${event.repository} (${shownBytes(event.completed)} so far)`,
        );
    }
  };
}

function jsonEvent(session: Session, model: string, event: PullEvent): void {
  const { type, ...fields } = event;
  const { bytes: total, ...rest } = { bytes: undefined, ...fields };
  printJson(session, "pull", { event: type, model, ...rest, ...(total !== undefined && { total }) });
}
