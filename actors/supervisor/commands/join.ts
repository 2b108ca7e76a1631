/** `exo join`: brings this machine into another's home. */
import { needDaemon } from "../daemon/daemon.ts";
import { misspelt, usageProblem } from "../exit-code.ts";
import { printJson, type Session } from "../session.ts";
import { safeText } from "../terminal/safe-text.ts";

export interface JoinFlags {
  /** How this machine wants to be called there. */
  readonly name?: string;
}

/** The long form with its addresses is shorter. */
const CODE_MAX = 1024;

interface Joined {
  readonly node: string;
  readonly name: string;
  readonly as: string;
}

/** `at` is a machine's name or `host:port`, where discovery does not find it. */
export async function join(
  session: Session,
  code: string,
  at: string | undefined,
  { name }: JoinFlags,
): Promise<void> {
  const { progress, terminal, signal, json } = session;
  if (code.length > CODE_MAX)
    throw usageProblem(
      `a code has 8 signs, not ${code.length}`,
      "exo join K7QM-2XTB, as exo invite shows it",
    );
  const daemon = await needDaemon(session);
  progress.status("looking for the machine that invites");
  const asked = { code, ...(at !== undefined && { address: at }), ...(name !== undefined && { name }) };
  const joined = await daemon
    .post<Joined>("/exo/v1/join", asked, signal)
    .catch((error) => {
      throw misspelt(error, ["code", "address", "name"]);
    })
    .finally(() => progress.end());
  if (json) return printJson(session, "join", joined);
  const host = `${safeText(joined.name)} (${joined.node.slice(0, 8)})`;
  progress.milestone(
    `${terminal.errStyle("green", "✓")} joined the home of ${host} as ${safeText(joined.as)}`,
  );
}
