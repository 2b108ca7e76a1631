/** How many units of work are under way on the machines of a model, and which may follow: none shall wait, and no reader long. */
import type { Wanted } from "../models/model.ts";
import type { Request } from "./request.ts";

/** Units under way at once: one more than there are machines, which is on its way while each of them computes. */
export const unitsMax = (stages: number): number => stages + 1;

export class Traffic {
  readonly #stages: number;
  readonly #prefillSharedMs: number;
  /** Units under way that give tokens of answers, and chunks of prompts. */
  #steps = 0;
  #chunks = 0;

  /** `prefillSharedMs`: how long answers may wait for prompts, all of them together. */
  constructor(stages: number, prefillSharedMs: number) {
    this.#stages = stages;
    this.#prefillSharedMs = prefillSharedMs;
  }

  /** Whether a unit of this request may begin. */
  takes(request: Request, active: readonly Request[]): boolean {
    if (!request.ready || this.#steps + this.#chunks >= unitsMax(this.#stages)) return false;
    if (request.decodes) return this.#steps < this.#stages;
    // Beside answers, a prompt leaves a machine to them.
    return this.#chunks < Math.max(1, this.#stages - 1) || !active.some(({ answers }) => answers);
  }

  /** A unit begins; what is answered is to be called at its end. */
  began(members: readonly Request[], wanted: Wanted): () => void {
    const isStep = wanted === "last";
    const count = (by: 1 | -1) => {
      if (isStep) this.#steps += by;
      else this.#chunks += by;
      for (const member of members) member.underWay += by;
    };
    count(1);
    return () => count(-1);
  }

  /** How many answers decode in one pass: as many passes as machines, so that each has one to compute. */
  together(active: readonly Request[]): number {
    return Math.ceil(active.filter(({ answers }) => answers).length / this.#stages);
  }

  /** How long one unit of this request's prompt may take, for others' answers wait: undefined where none does. */
  unitMs(request: Request, active: readonly Request[]): number | undefined {
    const others = active.filter((other) => other !== request && other.sequence);
    if (!others.some(({ prefillLeft }) => prefillLeft <= 0)) return undefined;
    const prompts = 1 + others.filter(({ prefillLeft }) => prefillLeft > 0).length;
    return this.#prefillSharedMs / prompts;
  }
}
