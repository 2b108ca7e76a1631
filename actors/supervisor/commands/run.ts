/** `exo run`: one answer when a prompt or stdin is given, else a chat in the terminal. */
import { answer, type ChatTurn, type Sampling, shownFigures } from "../daemon/answer.ts";
import type { Client } from "../daemon/client.ts";
import { openModel } from "../daemon/open-model.ts";
import { usageProblem } from "../exit-code.ts";
import { printJson, type Session } from "../session.ts";
import { safeText } from "../terminal/safe-text.ts";
import { type PlacementFlags, wishOf } from "./wish.ts";

export interface RunFlags extends PlacementFlags {
  /** Words of the command line: the model, unless --model names it, and the prompt. */
  readonly given: readonly string[];
  readonly model?: string;
  readonly system?: string;
  readonly raw?: boolean;
  readonly temp?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly seed?: number;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  readonly stats?: boolean;
  readonly plain?: boolean;
  readonly pull: boolean;
}

export async function run(session: Session, flags: RunFlags): Promise<void> {
  const { model, words } = modelAndWords(flags);
  const { terminal } = session;
  const prompt = await promptFrom(session, words);
  if (prompt === undefined && !terminal.inIsTerminal) {
    throw usageProblem(
      "there is nothing to answer: no prompt was given and stdin is empty",
      `exo run ${model} "question"`,
    );
  }
  if (prompt === undefined && session.json)
    throw usageProblem("--json needs a prompt", `exo run ${model} --json "question"`);
  // Where nothing is said of machines this one holds the model, if it can, or others that are much faster.
  const wish = wishOf(flags);
  const opened = await openModel(session, model, { pull: flags.pull, ...(wish && { wish }) });
  try {
    const { client, name } = opened;
    if (prompt === undefined) {
      const { chat } = await import("../chat/chat.ts");
      await chat(session, { client, model: name, sampling: samplingOf(flags), ...chatFlags(flags) });
    } else {
      await once(session, { client, model: name, prompt, flags });
    }
  } finally {
    await opened.close();
  }
}

const chatFlags = ({ system, stats = false, plain = false }: RunFlags) => ({
  ...(system !== undefined && { system }),
  stats,
  plain,
});

function modelAndWords({ given, model }: RunFlags): { model: string; words: readonly string[] } {
  if (model !== undefined) return { model, words: given };
  const [first, ...words] = given;
  if (first === undefined)
    throw usageProblem("no model was named", "exo run smollm2, or see what is here: exo ls");
  return { model: first, words };
}

/** A pipe that nobody ends would be waited for without a word. */
const STDIN_HINT_MS = 2_000;

/** The words of the command line, then what stdin holds; undefined if neither says anything. */
async function promptFrom(session: Session, words: readonly string[]): Promise<string | undefined> {
  const piped = session.terminal.inIsTerminal ? "" : await stdinText(session);
  const parts = [words.join(" "), piped.trimEnd()].filter((part) => part !== "");
  return parts.length === 0 ? undefined : parts.join("\n\n");
}

async function stdinText({ clock, signal, progress }: Session): Promise<string> {
  const hint = "reading stdin until it ends; if there is nothing to read, add: </dev/null";
  const cancel = clock.after(STDIN_HINT_MS, () => progress.milestone(hint));
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return await Promise.race([Bun.stdin.text(), aborted]).finally(cancel);
}

/** Flags in the spelling of the API. */
export function samplingOf({ temp, topP, topK, minP, seed, maxTokens, stop }: Partial<RunFlags>): Sampling {
  return {
    ...(temp !== undefined && { temperature: temp }),
    ...(topP !== undefined && { top_p: topP }),
    ...(topK !== undefined && { top_k: topK }),
    ...(minP !== undefined && { min_p: minP }),
    ...(seed !== undefined && { seed }),
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
    ...(stop !== undefined && { stop }),
  };
}

interface Once {
  readonly client: Client;
  readonly model: string;
  readonly prompt: string;
  readonly flags: RunFlags;
}

/** Only the answer goes to stdout. */
async function once(session: Session, { client, model, prompt, flags }: Once): Promise<void> {
  const { terminal, clock, signal, json } = session;
  let text = "";
  const question = {
    model,
    prompt: flags.raw ? prompt : turns(prompt, flags.system),
    sampling: samplingOf(flags),
  };
  const figures = await answer(question, {
    client,
    clock,
    signal,
    onText(piece, kind) {
      if (kind === "answer") text += piece;
      if (json) return;
      const shown = terminal.outIsTerminal ? safeText(piece) : piece;
      if (kind === "answer") terminal.out(shown);
      else if (terminal.errIsTerminal) terminal.err(terminal.errStyle("dim", safeText(piece)));
    },
  });
  if (json) return printJson(session, "run", { model, text, ...figures });
  if (!text.endsWith("\n")) terminal.out("\n");
  if (flags.stats) terminal.err(`${terminal.errStyle("dim", shownFigures(figures))}\n`);
}

const turns = (prompt: string, system: string | undefined): readonly ChatTurn[] => [
  ...(system === undefined ? [] : [{ role: "system", content: system } as const]),
  { role: "user", content: prompt },
];
