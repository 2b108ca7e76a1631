/** The chat in the terminal: prompt, answer, prompt, until one leaves. */
import { join } from "node:path";
import { Problem } from "#protocol/problem";
import { answer, shownFigures } from "../daemon/answer.ts";
import type { Session } from "../session.ts";
import { showFailure } from "../terminal/failure.ts";
import { safeText } from "../terminal/safe-text.ts";
import { type ChatOptions, Conversation } from "./conversation.ts";
import { type History, openHistory } from "./history.ts";
import { type Keyboard, openKeyboard } from "./keyboard.ts";
import type { Key } from "./keys.ts";
import { type AnswerView, markdownView, plainView } from "./markdown.ts";
import { readMessage } from "./prompt.ts";
import { type Outcome, slash, slashNames } from "./slash.ts";

const ROWS_UNKNOWN = 24;

/** Returns when the user leaves, or the session's signal is aborted. */
export async function chat(session: Session, options: ChatOptions): Promise<void> {
  const { config, clock, signal, terminal } = session;
  const conversation = new Conversation(options);
  const historyPath = config.terminal.history ? join(config.home, "history") : undefined;
  const history = await openHistory(historyPath);
  terminal.out(`${terminal.outStyle("dim", `${options.model} · /help lists commands, Ctrl-D leaves`)}\n`);
  const keyboard = openKeyboard(clock, signal);
  try {
    const room = { session, conversation, keyboard, history };
    while (!signal.aborted && (await turn(room))) {
      // each turn is one message of the user and what it brings about.
    }
  } finally {
    keyboard.close();
  }
}

interface Room {
  readonly session: Session;
  readonly conversation: Conversation;
  readonly keyboard: Keyboard;
  readonly history: History;
}

/** False when the user leaves. */
async function turn({ session, conversation, keyboard, history }: Room): Promise<boolean> {
  const { terminal, config } = session;
  const entered = await readMessage({
    terminal,
    history,
    nextKey: () => keyboard.next(),
    complete: (text) => (/^\/\S*$/.test(text) ? slashNames.filter((name) => name.startsWith(text)) : []),
  });
  if (entered.type === "leave") return false;
  const { text } = entered;
  if (text.trim() === "") return true;
  await history.add(text);
  const outcome: Outcome = text.startsWith("/")
    ? await slash(conversation, text.trim(), join(config.home, "chats"))
    : { type: "ask", text };
  if (outcome.type === "leave") return false;
  if (outcome.type === "say") terminal.out(`${safeText(outcome.text)}\n`);
  else await ask({ session, conversation, keyboard, history }, outcome.text);
  return true;
}

/** What came before Ctrl-C, Escape or a failure stays in the conversation. */
async function ask({ session, conversation, keyboard }: Room, text: string): Promise<void> {
  const { terminal, clock, signal } = session;
  const stopping = new AbortController();
  const view = viewOf(session, conversation.plain);
  let said = "";
  conversation.say("user", text);
  keyboard.intercept((key) => {
    if (isStop(key)) stopping.abort();
    return isStop(key);
  });
  try {
    const { client, model, messages, sampling } = conversation;
    const question = { model, prompt: messages, sampling };
    conversation.lastFigures = await answer(question, {
      client,
      clock,
      signal: AbortSignal.any([signal, stopping.signal]),
      onText(piece, kind) {
        if (kind === "answer") said += piece;
        if (kind === "answer") view.write(piece);
        else terminal.out(terminal.outStyle("dim", safeText(piece)));
      },
    });
    view.end();
    if (conversation.stats)
      terminal.out(`${terminal.outStyle("dim", shownFigures(conversation.lastFigures))}\n`);
  } catch (error) {
    view.end();
    if (stopping.signal.aborted) terminal.out(`${terminal.outStyle("dim", "(stopped)")}\n`);
    else if (!signal.aborted && !(error instanceof Problem)) throw error;
    else if (!signal.aborted) showFailure(terminal, error, { json: false, verbose: session.verbose });
  } finally {
    keyboard.intercept(undefined);
  }
  if (said === "") conversation.giveUp();
  else conversation.say("assistant", said);
}

const isStop = (key: Key): boolean =>
  key.type === "key" && (key.name === "interrupt" || key.name === "escape");

function viewOf({ terminal, config }: Session, plain: boolean): AnswerView {
  const renders = !plain && terminal.outIsTerminal && !config.terminal.accessible && !config.terminal.dumb;
  return renders ? markdownView(terminal, process.stdout.rows || ROWS_UNKNOWN) : plainView(terminal);
}
