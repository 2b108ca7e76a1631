/** Times a few steps of the layers held, for planning: a chunk of a prompt, and the next token of one, two, four and eight answers. */
import type { SequenceFeed } from "#protocol/pass";
import type { Pace, StepTime } from "#protocol/speeds";
import { Paces } from "./engine/paces.ts";
import { Stage, type StagePorts } from "./engine/stage.ts";

/** Tokens before the first timed step, which ready what is made once, and of the chunk that is timed. */
const [READYING, PROMPT] = [32, 256];
/**
 * Steps with so many answers: those that only warm up, and those of which the median counts. After steps of more rows, as those of a
 * prompt, single ones are up to a quarter slower at first and as fast as they stay only after some eight, measured with SmolLM2 on two
 * cores with AVX-512. A single answer's steps are wanted best, as others are their multiples: as many as are kept (engine/paces.ts).
 */
const TOGETHER = [
  { answers: 1, warmUp: 8, steps: 32 },
  { answers: 2, warmUp: 2, steps: 5 },
  { answers: 4, warmUp: 2, steps: 5 },
  { answers: 8, warmUp: 2, steps: 5 },
];
/** No more is begun after so long: whoever waits for a plan waits for this. */
const TIME_MS = 1_500;
/**
 * Steps of one answer before anything else: they count where a prompt leaves no time for others, as on machines some times slower. Some
 * are made whatever they take, the rest while there is time; those that only warm up count where no others were made: they take a tenth
 * (a 1B) to a half (SmolLM2) longer, measured on two cores with AVX-512.
 */
const FIRST = { least: 3, warmUp: 8, steps: 8, withinMs: 400 };

export interface MeasurePorts {
  readonly nowMs: () => number;
  /** Resolves when other messages were heard. */
  readonly rest: () => Promise<void>;
}

/** Throws Problem where there is no room for it; leaves nothing behind. */
export async function measured(ports: StagePorts, { nowMs, rest }: MeasurePorts): Promise<Pace> {
  const { model } = ports;
  const paces = new Paces(nowMs);
  const stage = new Stage({ ...ports, paces });
  const told = () => paces.told(model.range);
  const passes = new Passes(ports);
  const startedMs = nowMs();
  const isPast = async (ms: number) => {
    await rest();
    return nowMs() > startedMs + ms;
  };
  const isLate = () => isPast(TIME_MS);
  try {
    await rest();
    passes.run(stage, [0], READYING);
    const { least, warmUp: warming, steps: counted, withinMs } = FIRST;
    for (let step = 0; step < warming + counted; step++) {
      if (step >= least && (await isPast(withinMs))) break;
      if (step === warming) paces.clear();
      passes.run(stage, [0], 1);
    }
    let known = told();
    if (await isLate()) return known;
    const noted = () => {
      known = better(told(), known);
      paces.clear();
    };
    paces.clear();
    passes.run(stage, [0], PROMPT);
    for (const { answers, warmUp, steps } of TOGETHER) {
      const sequences = Array.from({ length: answers }, (_, at) => at);
      for (let step = 0; step < warmUp + steps && !(await isLate()); step++) {
        if (step === warmUp) noted();
        passes.run(stage, sequences, 1);
      }
      noted();
    }
    return known;
  } finally {
    stage.clear();
  }
}

/** What was measured, with what was known before of kinds of steps that it does not have. */
function better({ layers, steps }: Pace, known: Pace): Pace {
  const isOf = (a: StepTime, b: StepTime) => a.kind === b.kind && a.rows === b.rows;
  return {
    layers,
    steps: [...known.steps.filter((old) => !steps.some((step) => isOf(old, step))), ...steps],
  };
}

/** What a stage is fed: tokens, or values as the layers before might give; neither is in any model's favour. */
class Passes {
  readonly #ports: StagePorts;
  readonly #counts = new Map<number, number>();
  #number = 0;
  #seed = 1;

  constructor(ports: StagePorts) {
    this.#ports = ports;
  }

  /** The next `count` tokens of each; one that is new begins as the first is. */
  run(stage: Stage, sequences: readonly number[], count: number): void {
    const first = this.#counts.get(0) ?? 0;
    const ops = sequences
      .filter((sequence) => first > 0 && !this.#counts.has(sequence))
      .map((sequence) => ({ type: "fork", from: 0, sequence, length: first }) as const);
    for (const { sequence } of ops) this.#counts.set(sequence, first);
    const feeds = sequences.map((sequence) => this.#feed(sequence, count));
    const head = { instance: "measure", epoch: 0, number: this.#number++ };
    const { lost } = stage.run({ ...head, ops, feeds, wanted: "last" }, this.#body(count * sequences.length));
    const [failed] = lost;
    if (failed) throw new Error(failed.problem?.message ?? "a step was lost");
  }

  #feed(sequence: number, count: number): SequenceFeed {
    const position = this.#counts.get(sequence) ?? 0;
    this.#counts.set(sequence, position + count);
    const { range, vocabularySize } = this.#ports.model;
    if (range.start > 0) return { sequence, position, count };
    const tokens = Array.from({ length: count }, () => Math.floor(this.#random() * vocabularySize));
    return { sequence, position, count, tokens };
  }

  #body(rows: number): Uint8Array | undefined {
    const { range, hiddenSize } = this.#ports.model;
    if (range.start === 0) return undefined;
    const values = Float32Array.from({ length: rows * hiddenSize }, () => 2 * this.#random() - 1);
    return new Uint8Array(values.buffer);
  }

  /** Park and Miller's generator (https://doi.org/10.1145/63039.63042), from 0 to 1. */
  #random(): number {
    this.#seed = (this.#seed * 48_271) % 2_147_483_647;
    return this.#seed / 2_147_483_647;
  }
}
