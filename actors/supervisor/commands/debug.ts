/** `exo debug trace`: the last messages between the actors of the running exo, for a bug report. */
import type { TraceEntry } from "#actors/runtime/trace";
import { needDaemon } from "../daemon/daemon.ts";
import { usageProblem } from "../exit-code.ts";
import { printJson, type Session } from "../session.ts";

export async function debug(session: Session, what: string): Promise<void> {
  if (what !== "trace") throw usageProblem(`${what} is nothing to look at`, "exo debug trace");
  const { terminal, json, signal } = session;
  const daemon = await needDaemon(session);
  const { entries } = await daemon.get<{ entries: readonly TraceEntry[] }>("/exo/v1/debug/trace", signal);
  if (json) return printJson(session, "debug trace", { entries });
  terminal.out(entries.map((entry) => `${shown(entry)}\n`).join(""));
}

/** Seconds since the clock's zero, then who did what with whom. */
const shown = ({ ms, kind, actor, peer, what }: TraceEntry): string =>
  [(ms / 1000).toFixed(6), kind, actor, peer || "-", what || "-"].join(" ");
