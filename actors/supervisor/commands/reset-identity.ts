/** `exo node reset-identity`: makes this machine another one, as a copy of a disk needs it. */
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { Problem } from "#protocol/problem";
import { readDaemonFile } from "../daemon/daemon.ts";
import { usageProblem } from "../exit-code.ts";
import { homeProblem } from "../home/home-problem.ts";
import { printJson, type Session } from "../session.ts";

/** Key and membership are kept aside, not deleted: they may be the only copy. Throws Problem. */
export async function resetIdentity(session: Session): Promise<void> {
  const { config, clock, json, progress } = session;
  const running = await readDaemonFile(config);
  if (running)
    throw new Problem("overloaded", `exo runs here (process ${running.pid}) and uses the identity`, {
      remedy: "end it first, then do this again",
    });
  await confirmed(session);
  const folder = join(config.home, "node");
  const aside = join(config.home, `node-until-${clock.epochSeconds()}`);
  try {
    await rename(folder, aside);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT")
      throw new Problem("notFound", "this machine has no identity yet: its first exo serve makes one");
    throw homeProblem(error, `${folder}, this machine's identity, could not be moved away`);
  }
  if (json) return printJson(session, "node", { kept: aside });
  progress.milestone(
    `the next exo serve makes this a new machine, on its own; the old identity lies in ${aside}`,
  );
  progress.milestone("pair it again: exo invite on another machine, exo join CODE here");
}

async function confirmed(session: Session): Promise<void> {
  if (session.yes) return;
  if (!session.terminal.inIsTerminal || session.json)
    throw usageProblem("reset-identity needs a yes: this machine leaves its home by it", "add --yes");
  const { confirm } = await import("@clack/prompts");
  const message = "give this machine a new identity? It leaves its home by it, and can be paired again.";
  if ((await confirm({ message, initialValue: false })) !== true)
    throw new Problem("cancelled", "nothing was changed");
}
