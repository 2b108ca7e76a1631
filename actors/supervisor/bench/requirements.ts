/** `require:` facts that must hold of the machines, else everything is skipped with the reason. */
import type { Located, Reader } from "./located.ts";
import { text } from "./readers.ts";

export interface Requirements {
  readonly nodes?: Bounded;
  /** Bytes. */
  readonly memory?: Bounded;
  readonly chip?: Pattern;
  readonly link?: Pattern;
}

export interface Bounded {
  readonly sign: Sign;
  readonly amount: number;
  /** As it was written. */
  readonly text: string;
}

/** A regular expression, letters' case aside. */
export interface Pattern {
  readonly source: string;
}

const SIGNS = [">=", "<=", ">", "<", "="] as const;
type Sign = (typeof SIGNS)[number];
const UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

const bounded =
  (example: string, hasUnit: boolean): Reader<Bounded> =>
  (at) => {
    const written = text(at).trim();
    const [, sign = ">=", count, unit] =
      /^(>=|<=|>|<|=)?\s*(\d+(?:\.\d+)?)\s*([kMGT]?B)?$/.exec(written) ?? [];
    const known = SIGNS.find((each) => each === sign);
    if (count === undefined || known === undefined || (unit !== undefined) !== hasUnit)
      throw at.misfit(`must be a bound such as "${example}", not ${JSON.stringify(written)}`);
    return { sign: known, amount: Number(count) * (UNITS[unit ?? "B"] ?? 1), text: written };
  };

const pattern: Reader<Pattern> = (at) => {
  const source = text(at);
  try {
    new RegExp(source, "i");
  } catch (error) {
    throw at.misfit(`is no regular expression: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { source };
};

export const requirements: Reader<Requirements> = (at: Located) =>
  at.fields({
    nodes: bounded(">=2", false),
    memory: bounded(">=96GB", true),
    chip: pattern,
    link: pattern,
  });

export function holds(value: number, { sign, amount }: Bounded): boolean {
  return {
    ">=": value >= amount,
    "<=": value <= amount,
    ">": value > amount,
    "<": value < amount,
    "=": value === amount,
  }[sign];
}

export const matches = (value: string, { source }: Pattern): boolean => new RegExp(source, "i").test(value);
