/** What has been said so far and how answers are sampled. */
import type { ChatTurn, Figures, Sampling } from "../daemon/answer.ts";
import type { Client } from "../daemon/client.ts";

export interface ChatOptions {
  readonly client: Client;
  readonly model: string;
  readonly sampling: Sampling;
  readonly system?: string;
  /** Print figures after each answer. */
  readonly stats: boolean;
  /** Do not render Markdown. */
  readonly plain: boolean;
}

/** One chat; the only mutable thing of it. */
export class Conversation {
  readonly client: Client;
  readonly model: string;
  sampling: Sampling;
  system: string | undefined;
  stats: boolean;
  plain: boolean;
  lastFigures: Figures | undefined;
  #turns: ChatTurn[] = [];
  /** A question that got no answer: it is not shown to the model, but may be asked again. */
  #unanswered: string | undefined;

  constructor({ client, model, sampling, system, stats, plain }: ChatOptions) {
    this.client = client;
    this.model = model;
    this.sampling = sampling;
    this.system = system;
    this.stats = stats;
    this.plain = plain;
  }

  /** Without the system prompt. */
  get turns(): readonly ChatTurn[] {
    return this.#turns;
  }

  /** What the model is given. */
  get messages(): readonly ChatTurn[] {
    return [
      ...(this.system === undefined ? [] : [{ role: "system", content: this.system } as const]),
      ...this.#turns,
    ];
  }

  say(role: "user" | "assistant", content: string): void {
    this.#unanswered = undefined;
    this.#turns.push({ role, content });
  }

  /** Takes back the last question and its answer, and gives the question. */
  undo(): string | undefined {
    const unanswered = this.#unanswered;
    this.#unanswered = undefined;
    if (unanswered !== undefined) return unanswered;
    const last = this.#turns.findLastIndex(({ role }) => role === "user");
    return last < 0 ? undefined : this.#turns.splice(last)[0]?.content;
  }

  /** The last question got no answer. */
  giveUp(): void {
    this.#unanswered = this.undo();
  }

  clear(): void {
    this.#unanswered = undefined;
    this.#turns = [];
  }

  replace(turns: readonly ChatTurn[], system: string | undefined): void {
    this.#turns = [...turns];
    this.system = system;
  }
}
