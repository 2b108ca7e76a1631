/** How much work one rendering may do. */
import { TemplateError } from "./values.ts";

/**
 * Steps for one rendering: a conversation of a thousand messages takes about half a million, and this many take about
 * a second. A step is one node of the syntax tree, or some characters of a value that was made.
 */
export const maxSteps = 10_000_000;
/** Macros within macros; the JavaScript stack holds several times as many. */
export const maxMacroDepth = 200;

/** Thrown through a template that does not come to an end. */
export class OutOfSteps extends TemplateError {}

export class Budget {
  #left: number;
  #depth = 0;
  readonly #steps: number;

  constructor(steps: number) {
    this.#left = steps;
    this.#steps = steps;
  }

  /** @throws OutOfSteps when nothing is left. */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new OutOfSteps(`it did not come to an end within ${this.#steps} steps`);
  }

  /** Runs the body of a macro. @throws TemplateError for macros that call each other without end. */
  nested<T>(body: () => T): T {
    if (this.#depth >= maxMacroDepth)
      throw new OutOfSteps(`its macros call each other more than ${maxMacroDepth} deep`);
    this.#depth++;
    try {
      return body();
    } finally {
      this.#depth--;
    }
  }
}
