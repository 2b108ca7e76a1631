/** Asks one machine after the other for what is missing of a model, again and again as long as something comes. */
import type { Clock } from "#actors/runtime/clock";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";

export interface RoundsPorts<Complete> {
  readonly clock: Clock;
  readonly model: string;
  readonly signal: AbortSignal;
  /** Machines that may have it, likeliest first. */
  readonly sources: () => readonly NodeId[];
  readonly nameOf: (node: NodeId) => string;
  /** Bytes so far. */
  readonly arrived: () => number;
  /** All of it, from that machine. Undefined for one that is not asked now, unless it is the last that there is. Throws Problem. */
  readonly from: (node: NodeId, isLast: boolean) => Promise<Complete | undefined>;
}

/** Rounds in which nothing arrived, and the waits before them. */
const PAUSES_MS: readonly number[] = [0, 500, 2_000, 5_000];

export class Rounds<Complete extends object> {
  readonly #ports: RoundsPorts<Complete>;
  /** Machines that gave what was not asked for; they are asked no more. */
  readonly #refuted = new Map<NodeId, Problem>();

  constructor(ports: RoundsPorts<Complete>) {
    this.#ports = ports;
  }

  /** Throws Problem, with what was wrong with each. */
  async run(): Promise<Complete> {
    const { arrived } = this.#ports;
    let problems: readonly Problem[] = [];
    for (let round = 0; round < PAUSES_MS.length; round++) {
      await this.#pause(PAUSES_MS[round] ?? 0);
      const before = arrived();
      const came = await this.#round();
      if (came.complete) return came.complete;
      problems = came.problems;
      if (arrived() > before) round = 0;
      else if (problems.every(({ kind }) => kind === "notFound" || kind === "invalid")) break;
    }
    throw this.#nobody(problems);
  }

  /** Who is not asked at first is, once nobody else gives anything. */
  async #round(): Promise<{ readonly complete?: Complete; readonly problems: readonly Problem[] }> {
    const { sources, arrived } = this.#ports;
    const problems = [...this.#refuted.values()];
    const others: NodeId[] = [];
    const before = arrived();
    for (const node of sources().filter((each) => !this.#refuted.has(each))) {
      const came = await this.#tried(node, false);
      if (came instanceof Problem) problems.push(came);
      else if (came) return { complete: came, problems };
      else others.push(node);
    }
    for (const node of arrived() > before ? [] : others) {
      const came = await this.#tried(node, true);
      if (came instanceof Problem) problems.push(came);
      else if (came) return { complete: came, problems };
    }
    return { problems };
  }

  async #tried(node: NodeId, isLast: boolean): Promise<Complete | Problem | undefined> {
    const { from, signal, nameOf } = this.#ports;
    try {
      return await from(node, isLast);
    } catch (error) {
      signal.throwIfAborted();
      // The disk that is full is this machine's: what others refuse has other kinds (asking.ts).
      if (!(error instanceof Problem) || error.kind === "doesNotFit") throw error;
      const problem = new Problem(error.kind, `${nameOf(node)}: ${error.message}`, { cause: error });
      if (error.kind === "invalid") this.#refuted.set(node, problem);
      return problem;
    }
  }

  #nobody(problems: readonly Problem[]): Problem {
    const { model } = this.#ports;
    const why = problems.map(({ message }) => message).join("; ");
    const kinds = new Set(problems.map(({ kind }) => kind).concat("notFound"));
    kinds.delete("notFound");
    const isInvalid = kinds.size === 1 && kinds.has("invalid");
    return new Problem(
      isInvalid ? "invalid" : kinds.size > 0 ? "unavailable" : "notFound",
      `${model} is not on this machine, and cannot be had of another now${why ? `: ${why}` : ""}`,
      { remedy: `start a machine that has it, or fetch it here: exo pull ${model}` },
    );
  }

  async #pause(ms: number): Promise<void> {
    const { clock, signal } = this.#ports;
    signal.throwIfAborted();
    if (ms === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(ms, resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise.finally(cancel);
    signal.throwIfAborted();
  }
}
