/** How a failure looks: what and why on one line, what to do on the next; or one JSON object. */
import { Problem, problemBody } from "#protocol/problem";
import { exitCodeOf } from "../exit-code.ts";
import { safeText } from "./safe-text.ts";
import type { Terminal } from "./terminal.ts";

/** `✗ what. why` and `→ what to do`; with `json` the same as one object on stdout, where a program looks for it. */
export function showFailure(
  terminal: Terminal,
  error: unknown,
  how: { json: boolean; verbose: boolean },
): void {
  const body = problemBody(error);
  const remedy = body.remedy ?? (error instanceof Problem ? undefined : BUG_REMEDY);
  if (how.json) {
    const { kind, message, param } = body;
    const shown = {
      kind,
      message,
      ...(param !== undefined && { param }),
      ...(remedy !== undefined && { remedy }),
    };
    terminal.out(`${JSON.stringify({ schema: "exo.error/1", error: shown, exitCode: exitCodeOf(error) })}\n`);
    return;
  }
  const { errStyle: style } = terminal;
  const message = error instanceof Problem ? body.message : `exo itself failed: ${body.message}`;
  terminal.err(`${style("red", "✗")} ${safeText(message.trim())}\n`);
  if (remedy !== undefined) terminal.err(`${style("cyan", "→")} ${safeText(remedy.trim())}\n`);
  if (how.verbose && error instanceof Error && error.stack) terminal.err(`${error.stack}\n`);
}

const BUG_REMEDY = "this is a bug: please report it with the output of the same command and -v";
