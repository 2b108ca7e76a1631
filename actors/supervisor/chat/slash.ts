/** What a line that begins with `/` does. Unknown ones say so and never reach the model. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Problem } from "#protocol/problem";
import { type ChatTurn, type Sampling, shownFigures } from "../daemon/answer.ts";
import { nearest } from "../nearest.ts";
import type { Conversation } from "./conversation.ts";

export type Outcome =
  /** Text to show. */
  | { readonly type: "say"; readonly text: string }
  /** Ask the model this again. */
  | { readonly type: "ask"; readonly text: string }
  | { readonly type: "leave" };

interface Slash {
  readonly takes: string;
  readonly does: string;
  run(chat: Conversation, argument: string, folder: string): Outcome | Promise<Outcome>;
}

const say = (text: string): Outcome => ({ type: "say", text });

const SLASHES: Readonly<Record<string, Slash>> = {
  help: { takes: "", does: "this list", run: () => say(help()) },
  system: { takes: "[text|-]", does: "show, set or (-) remove the system prompt", run: system },
  set: {
    takes: "key value",
    does: "temperature, top_p, top_k, min_p, seed, max_tokens, stop; - unsets",
    run: set,
  },
  show: { takes: "", does: "model, settings and length of this chat", run: show },
  stats: { takes: "[on|off]", does: "figures of the last answer, or of every one", run: stats },
  retry: { takes: "", does: "ask the last question again", run: retry },
  undo: { takes: "", does: "take back the last question and its answer", run: undo },
  clear: { takes: "", does: "forget this chat", run: clear },
  save: { takes: "name", does: "keep this chat", run: save },
  load: { takes: "[name]", does: "go on with a kept chat, or list them", run: load },
  plain: { takes: "on|off", does: "print answers as written, or render Markdown", run: plain },
  bye: { takes: "", does: "leave (also Ctrl-D)", run: () => ({ type: "leave" }) },
};
const SYNONYMS: Readonly<Record<string, string>> = {
  "?": "help",
  exit: "bye",
  quit: "bye",
  q: "bye",
  reset: "clear",
};

/** Names for Tab. */
export const slashNames: readonly string[] = Object.keys(SLASHES).map((name) => `/${name}`);

/** `folder` keeps chats. Faults of the user come back as text. */
export async function slash(chat: Conversation, line: string, folder: string): Promise<Outcome> {
  const [, word = "", argument = ""] = /^\/(\S*)\s*([\s\S]*)$/.exec(line) ?? [];
  const name = SYNONYMS[word] ?? word;
  const known = SLASHES[name];
  if (!known) {
    const near = nearest(word, Object.keys(SLASHES));
    return say(`there is no /${word}; ${near ? `did you mean /${near}?` : "/help lists what there is"}`);
  }
  try {
    return await known.run(chat, argument.trim(), folder);
  } catch (error) {
    if (error instanceof Problem) return say(error.message);
    throw error;
  }
}

function help(): string {
  const rows = Object.entries(SLASHES).map(
    ([name, { takes, does }]) => `  ${`/${name} ${takes}`.padEnd(18)} ${does}`,
  );
  const keys = ["Alt-Enter or Ctrl-J", '"""', "Ctrl-C", "Ctrl-R", "Ctrl-D"];
  const uses = [
    "a new line in a message",
    "opens and closes a message of many lines",
    "stops an answer",
    "searches what was typed before",
    "leaves",
  ];
  return [...rows, "", ...keys.map((key, index) => `  ${key.padEnd(18)} ${uses[index]}`)].join("\n");
}

function system(chat: Conversation, argument: string): Outcome {
  if (argument === "") return say(chat.system ?? "there is no system prompt");
  chat.system = argument === "-" ? undefined : argument;
  return say(chat.system === undefined ? "system prompt removed" : "system prompt set");
}

/** Least and greatest of each number. */
const NUMBERS: Readonly<Record<string, readonly [number, number, "whole" | "real"]>> = {
  temperature: [0, 100, "real"],
  top_p: [0, 1, "real"],
  top_k: [0, 1e9, "whole"],
  min_p: [0, 1, "real"],
  seed: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, "whole"],
  max_tokens: [1, 1e9, "whole"],
};
const SHORT: Readonly<Record<string, string>> = { temp: "temperature" };

function set(chat: Conversation, argument: string): Outcome {
  const [, word = "", value = ""] = /^(\S*)\s*([\s\S]*)$/.exec(argument) ?? [];
  const key = SHORT[word] ?? word.replaceAll("-", "_");
  if (key !== "stop" && !(key in NUMBERS)) {
    const near = nearest(key, [...Object.keys(NUMBERS), "stop"]);
    return say(
      `there is no setting ${word || "without a name"}; ${near ? `did you mean ${near}?` : `known: ${Object.keys(NUMBERS).join(", ")}, stop`}`,
    );
  }
  const { [key as keyof Sampling]: _, ...others } = chat.sampling;
  if (value === "" || value === "-") chat.sampling = others;
  else chat.sampling = { ...others, [key]: key === "stop" ? [value] : numberOf(key, value) };
  return say(`${key} ${value === "" || value === "-" ? "unset" : `= ${value}`}`);
}

function numberOf(key: string, text: string): number {
  const [least, most, kind] = NUMBERS[key] ?? [0, 0, "real"];
  const value = Number(text);
  const right =
    Number.isFinite(value) && value >= least && value <= most && (kind === "real" || Number.isInteger(value));
  if (right) return value;
  const bound = key === "seed" ? "" : ` from ${least} to ${most}`;
  throw new Problem(
    "invalid",
    `${key} must be a ${kind === "whole" ? "whole number" : "number"}${bound}, not ${text}`,
  );
}

function show(chat: Conversation): Outcome {
  const settings = Object.entries(chat.sampling).map(([key, value]) => `  ${key} = ${String(value)}`);
  const { turns } = chat;
  return say(
    [
      `model ${chat.model} at ${chat.client.url}`,
      chat.system === undefined ? "no system prompt" : `system: ${chat.system}`,
      ...(settings.length > 0 ? settings : ["  settings: the model's own"]),
      `${turns.length} messages, ${turns.reduce((sum, { content }) => sum + content.length, 0)} characters`,
    ].join("\n"),
  );
}

function stats(chat: Conversation, argument: string): Outcome {
  if (argument === "on" || argument === "off") {
    chat.stats = argument === "on";
    return say(`figures after every answer: ${argument}`);
  }
  return say(chat.lastFigures ? shownFigures(chat.lastFigures) : "there was no answer yet");
}

function retry(chat: Conversation): Outcome {
  const text = chat.undo();
  return text === undefined ? say("there is nothing to ask again") : { type: "ask", text };
}

function undo(chat: Conversation): Outcome {
  const text = chat.undo();
  return say(text === undefined ? "there is nothing to take back" : `taken back: ${text.split("\n", 1)[0]}`);
}

function clear(chat: Conversation): Outcome {
  chat.clear();
  return say("forgotten");
}

function plain(chat: Conversation, argument: string): Outcome {
  if (argument !== "on" && argument !== "off") return say("/plain on, or /plain off");
  chat.plain = argument === "on";
  return say(chat.plain ? "answers are printed as written" : "answers are rendered");
}

/** Names become files: nothing in them may lead elsewhere. */
function fileOf(folder: string, name: string): string {
  if (/^[\w][\w .-]{0,99}$/.test(name)) return join(folder, `${name}.json`);
  throw new Problem("invalid", "a name has letters, digits, blanks, points and dashes, at most 100");
}

async function save(chat: Conversation, argument: string, folder: string): Promise<Outcome> {
  const path = fileOf(folder, argument);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { model, system: text, sampling, turns } = chat;
  await Bun.write(
    path,
    JSON.stringify({ schema: "exo.chat/1", model, system: text, sampling, turns }, null, 1),
    { mode: 0o600 },
  );
  return say(`kept as ${argument}; /load ${argument} goes on with it`);
}

async function load(chat: Conversation, argument: string, folder: string): Promise<Outcome> {
  const names = (await readdir(folder).catch(() => [] as string[]))
    .filter((name) => name.endsWith(".json"))
    .map((name) => name.slice(0, -".json".length));
  if (argument === "") return say(names.length === 0 ? "no chats are kept" : names.join("\n"));
  const file = Bun.file(fileOf(folder, argument));
  if (!(await file.exists())) {
    const near = nearest(argument, names);
    return say(`no chat is kept as ${argument}${near ? `; did you mean ${near}?` : ""}`);
  }
  const kept: { system?: string; turns?: readonly ChatTurn[] } = await file.json().catch(() => ({}));
  if (!Array.isArray(kept.turns)) return say(`${argument} is not a kept chat`);
  chat.replace(kept.turns, kept.system);
  return say(`${kept.turns.length} messages of ${argument}`);
}
