/** What computes units of work for the token loop: the layers of one machine, or those of several in a row. */
import type { Wanted } from "../models/model.ts";
import type { TokenSequence } from "./sequence.ts";

/** The next tokens of one sequence. */
export interface Feed {
  readonly sequence: TokenSequence;
  readonly tokens: readonly number[];
}

/** One chunk of one prompt, or the next token of several sequences. */
export interface Unit {
  readonly feeds: readonly Feed[];
  readonly wanted: Wanted;
}

/**
 * What became of one feed: its logits (none for "hidden"), row by row; or what it failed of; or `again`, where it is not known to be
 * at fault itself: its keys and values are gone.
 */
export type Outcome =
  | { readonly logits: Float32Array }
  | { readonly error: unknown }
  | { readonly again: true };

/** Hears once of each feed, in their order, and of a chunk how long it took by itself. */
export type Done = (outcomes: readonly Outcome[], tookMs: number) => void;

export interface Computer {
  /** Machines that a unit goes through. */
  readonly stages: number;
  /** Tokens that one unit may have. */
  readonly rowsMax: number;
  /** Nothing more is taken until something that is under way has been computed. */
  readonly full: boolean;
  /** A new sequence, of no token yet. */
  begin(): TokenSequence;
  /**
   * Computes a unit. One machine has told `done` when this returns, with several it is told later, and units that are begun
   * meanwhile follow in the order of their beginning. The tokens count among the sequences' at once.
   */
  compute(unit: Unit, done: Done): void;
}
