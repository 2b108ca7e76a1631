/** A part of the figures: measured in one go, both sides by turns, and kept by its name. */
import type { Figure, Series } from "./figure.ts";

export interface Settings {
  readonly rounds: number;
  /** Every number is tried on each side that takes one. */
  readonly threads: readonly number[];
  readonly log: (line: string) => void;
}

export interface Outcome {
  readonly series: readonly Series[];
  readonly figures: readonly Figure[];
  /** What a reader has to know to judge them. */
  readonly notes: readonly string[];
  readonly versions: Readonly<Record<string, string>>;
}

export interface Part {
  readonly name: string;
  /** What it measures, in a line. */
  readonly about: string;
  /** Its children have children that they do not wait for: their time cannot be told from that of other programs. */
  readonly grandchildren?: boolean;
  readonly run: (settings: Settings) => Promise<Outcome>;
}
