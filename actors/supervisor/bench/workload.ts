/** What the requests of a cell ask: one after another by index, the same for the same seed. */
import type { TargetAbilities } from "./abilities.ts";
import type { Cell } from "./grid.ts";
import { drawnLength, type Prompts } from "./prompts.ts";
import type { Message, PromptText, Question } from "./question.ts";
import { type Random, randomOf } from "./random.ts";

/** A request of a recorded list: what it asks, or how long it is. */
export interface Recorded {
  /** Milliseconds from the list's start; traces have it. */
  readonly atMs?: number;
  readonly promptTokens?: number;
  readonly outputTokens?: number;
  readonly messages?: readonly Message[];
}

export interface WorkloadPorts {
  readonly cell: Cell;
  /** The name to ask for, which is not always the one in the config. */
  readonly model: string;
  readonly prompts: Prompts;
  readonly abilities: TargetAbilities;
  /** Of data that lies in a file. */
  readonly recorded: readonly Recorded[];
  /** New each time: no server's cache knows prompts of an earlier benchmark. */
  readonly salt: string;
}

/** What was answered to the turn before. */
export interface Before {
  readonly question: Question;
  readonly text: string;
  readonly ids: readonly number[];
}

export interface Workload {
  /** Sent before and not measured: it fills the context. */
  fill(repeat: number, index: number): Question | undefined;
  /** The first question; later turns are made from the answers. */
  first(repeat: number, index: number): Question;
  /** The next question of a conversation, or undefined at its end. `turn` counts from 1. */
  next(turn: number, before: Before, random: Random): Question | undefined;
  random(repeat: number, index: number): Random;
}

export function workloadOf(ports: WorkloadPorts): Workload {
  const { cell, prompts, recorded, salt } = ports;
  const { scenario, fill } = cell;
  const { data, seed, prefixCache } = scenario;
  const random = (repeat: number, index: number) =>
    prefixCache === "warm" ? randomOf(seed, cell.key, "warm") : randomOf(seed, salt, cell.key, repeat, index);
  /** Lengths do not depend on the salt: two benchmarks of one seed ask the same work. */
  const lengths = (repeat: number, index: number) => randomOf(seed, cell.key, repeat, index, "lengths");
  const recordAt = (index: number) => recorded.at(index % Math.max(1, recorded.length));
  const asked = (prompt: PromptText, outputTokens: number) => questionOf(ports, prompt, outputTokens);
  const prefixAt = (repeat: number, index: number) => {
    if (fill > 0) return { name: `${salt} ${cell.key} ${repeat} ${index}`, tokens: fill };
    if (data?.type !== "prefixRepetition") return undefined;
    return { name: `${salt} ${cell.key} ${index % data.prefixes}`, tokens: data.prefixTokens };
  };

  return {
    random,
    fill(repeat, index) {
      const prefix = prefixAt(repeat, index);
      if (fill === 0 || !prefix) return undefined;
      // One token more than the prefix, and another than the prompt goes on with.
      return asked(prompts.make(fill + 1, randomOf(seed, salt, cell.key, repeat, index, "fill"), prefix), 1);
    },
    first(repeat, index) {
      const drawn = lengths(repeat, index);
      const record = recordAt(index);
      const promptTokens = record?.promptTokens ?? drawnLength(cell.prompt, drawn);
      const outputTokens = record?.outputTokens ?? drawnLength(cell.output, drawn);
      if (record?.messages) return asked(messagesPrompt(record.messages), outputTokens);
      const prefix = prefixAt(repeat, index);
      const system = data?.type === "turns" ? data.system : 0;
      const before = system + (prefix?.tokens ?? 0);
      const tokens =
        data?.type === "prefixRepetition" || fill > 0 || system > 0 ? promptTokens + before : promptTokens;
      const shared = prefix ?? (system > 0 ? { name: `${salt} ${cell.key}`, tokens: system } : undefined);
      return asked(prompts.make(tokens, random(repeat, index), shared), outputTokens);
    },
    next(turn, before, turnRandom) {
      if (data?.type !== "turns" || turn >= data.turns) return undefined;
      const added = prompts.make(data.growth, turnRandom);
      return { ...before.question, prompt: joined(before, added) };
    },
  };
}

function questionOf({ cell, model }: WorkloadPorts, prompt: PromptText, outputTokens: number): Question {
  const { temperature, stream, ignoreEos } = cell.scenario;
  const { ctx } = cell.model;
  const context = ctx !== undefined && { contextTokens: ctx };
  return { model, prompt, outputTokens, temperature, stream, exact: ignoreEos, ...context };
}

const messagesPrompt = (messages: readonly Message[]): PromptText => ({ type: "messages", messages });

/** What was asked, what was answered, and what is asked now: a prefix that a cache can know. */
function joined({ question: { prompt }, text, ids }: Before, added: PromptText): PromptText {
  if (prompt.type === "tokens" && added.type === "tokens")
    return { type: "tokens", ids: [...prompt.ids, ...ids, ...added.ids] };
  const said = added.type === "text" ? added.text : "";
  const asked = prompt.type === "messages" ? prompt.messages : [{ role: "user", content: textIn(prompt) }];
  return messagesPrompt([...asked, { role: "assistant", content: text }, { role: "user", content: said }]);
}

const textIn = (prompt: PromptText): string => (prompt.type === "text" ? prompt.text : "");
