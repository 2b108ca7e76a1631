/** From how long a worker's steps took to how fast its machine is, and which of what a machine measured says most about a model. */
import type { NodeId } from "#protocol/ids";
import type { ModelShape } from "#protocol/model-shape";
import type { NodeFacts } from "#protocol/node";
import type { MeasuredSpeeds, Pace, StepTime } from "#protocol/speeds";
import { layerRead } from "./cost.ts";
import type { Speeds } from "./home.ts";
import { assumedSpeeds } from "./speeds.ts";

/** Models of one family differ in size only. */
interface Family {
  readonly architecture: string;
  readonly quantisation: string;
}

export interface Model {
  readonly shape: ModelShape;
  readonly quantisation: string;
  /** Bytes of one kept value of keys or values. */
  readonly kvBytes: number;
}

/** Beginning a layer is taken to be so long, and never more than this part of what a layer took. */
const [LAYER_MS, LAYER_PART] = [0.03, 0.25];
/** Choosing a token and telling of it. */
const TOKEN_MS = 0.2;
/** Fewer tokens in a chunk read more than they compute. */
const PROMPT_ROWS_MIN = 64;
/** Answers in one step, besides one, whose time is remembered. */
export const TOGETHER = [2, 4, 8] as const;
/** How much a new measurement counts beside what was known: one disturbed run does not turn a plan over. */
const NEW_PART = 0.5;

/** What the steps show, joined with what was known of the family before; undefined where nothing of it is a single answer's. */
export function learned(model: Model, pace: Pace, before?: MeasuredSpeeds): MeasuredSpeeds | undefined {
  const alone = best(pace.steps.filter(({ kind, rows }) => kind === "decode" && rows === 1));
  if (!alone) return undefined;
  const fitted = fit(model, pace, alone, before);
  return before ? joined(before, fitted) : fitted;
}

/** Of several, the one that has least in it beside layers and head. */
function best(steps: readonly StepTime[]): StepTime | undefined {
  const order = ["layers", "head", "token"];
  return steps.toSorted((a, b) => order.indexOf(a.until) - order.indexOf(b.until))[0];
}

function fit(model: Model, pace: Pace, alone: StepTime, before: MeasuredSpeeds | undefined): MeasuredSpeeds {
  const { quantisation, shape } = model;
  const layers = shape.layers.slice(pace.layers.start, pace.layers.end);
  const layerMs = before?.layerMs ?? Math.min(LAYER_MS, (LAYER_PART * alone.ms) / layers.length);
  const own = alone.until === "token" ? (before?.stepMs ?? TOKEN_MS) : 0;
  const read = layers.reduce(
    (sum, layer) =>
      sum +
      layerRead(shape, layer, {
        prompt: alone.depth,
        kvBytes: model.kvBytes,
        ranks: 1,
        step: { tokens: 1, isPrompt: false },
      }),
    alone.until === "layers" ? 0 : shape.headBytes,
  );
  const bytesPerSecond = rate(read, spent(alone.ms, layers.length * layerMs + own));
  return {
    architecture: shape.architecture,
    quantisation,
    layerBytes: layers.reduce((sum, { bytes }) => sum + bytes, 0) / layers.length,
    bytesPerSecond,
    flopsPerSecond: flops(shape, pace, layerMs) ?? before?.flopsPerSecond ?? bytesPerSecond,
    layerMs,
    stepMs: before?.stepMs ?? TOKEN_MS,
    together: [...(multiples(pace, alone, { own, once: layers.length * layerMs }) ?? before?.together ?? [])],
  };
}

const rate = (amount: number, ms: number): number => Math.min((1000 * amount) / ms, Number.MAX_SAFE_INTEGER);

/** What is left of a time once a part of it is explained: never less than half, as the part is a guess. */
const spent = (ms: number, explained: number): number => Math.max(ms - explained, ms / 2, 1e-6);

function flops(
  shape: ModelShape,
  { layers: { start, end }, steps }: Pace,
  layerMs: number,
): number | undefined {
  const prompt = steps.filter(({ kind, rows }) => kind === "prompt" && rows >= PROMPT_ROWS_MIN).at(-1);
  if (!prompt) return undefined;
  const work = shape.layers.slice(start, end).reduce((sum, layer) => sum + layer.flops, 0) * prompt.rows;
  return rate(work, spent(prompt.ms, (end - start) * layerMs));
}

/** Of what is read and computed: `own` is what each answer takes besides, `once` what a step does however many there are. */
function multiples(
  { steps }: Pace,
  alone: StepTime,
  { own, once }: { readonly own: number; readonly once: number },
): readonly number[] | undefined {
  const found: number[] = [];
  for (const rows of TOGETHER) {
    const step = steps.find(
      (each) => each.kind === "decode" && each.rows === rows && each.until === alone.until,
    );
    if (!step) break;
    found.push(Math.max(1, spent(step.ms, once + rows * own) / spent(alone.ms, once + own)));
  }
  return found.length > 0 ? found : undefined;
}

function joined(before: MeasuredSpeeds, now: MeasuredSpeeds): MeasuredSpeeds {
  const between = (old: number, fresh: number) => old + NEW_PART * (fresh - old);
  return {
    ...now,
    bytesPerSecond: between(before.bytesPerSecond, now.bytesPerSecond),
    flopsPerSecond: between(before.flopsPerSecond, now.flopsPerSecond),
    layerMs: between(before.layerMs, now.layerMs),
    stepMs: between(before.stepMs, now.stepMs),
    together: now.together.map((each, at) => between(before.together[at] ?? each, each)),
  };
}

/** Whether two models are judged by one measurement: of one family, and their layers at most so many times as large. */
const ALIKE = 1.5;

/** What was measured of models of that family and about that size. */
export function measuredOf(
  known: readonly MeasuredSpeeds[] | undefined,
  { quantisation, shape }: Omit<Model, "kvBytes">,
): MeasuredSpeeds | undefined {
  const layerBytes = meanBytes(shape);
  const family = { architecture: shape.architecture, quantisation };
  const found = nearest(known, (each) => isOf(each, family), layerBytes);
  return found && distance(found, layerBytes) <= Math.log(ALIKE) ? found : undefined;
}

/**
 * How fast a machine is taken to be with a model: as measured of its family and size; else as fast as with what is most like it of what
 * it did measure, which is a guess; else what its facts make likely.
 */
export function speedsFor(facts: NodeFacts, model: Omit<Model, "kvBytes">): Speeds {
  const measured = measuredOf(facts.speeds, model);
  if (measured) return speedsBy(measured, false);
  const { quantisation, shape } = model;
  const layerBytes = meanBytes(shape);
  const family = { architecture: shape.architecture, quantisation };
  const like =
    nearest(facts.speeds, (each) => isOf(each, family), layerBytes) ??
    nearest(facts.speeds, (each) => each.quantisation === quantisation, layerBytes) ??
    nearest(facts.speeds, () => true, layerBytes);
  return like ? speedsBy(like, true) : assumedSpeeds(facts);
}

/** The same for `homeOf`, with what some machines measured just now. */
export const speedsWith =
  (measured: ReadonlyMap<NodeId, MeasuredSpeeds>, model: Omit<Model, "kvBytes">) =>
  (node: NodeId, facts: NodeFacts): Speeds => {
    const now = measured.get(node);
    return speedsFor({ ...facts, speeds: [...(now ? [now] : []), ...(facts.speeds ?? [])] }, model);
  };

const speedsBy = (
  { bytesPerSecond, flopsPerSecond, layerMs, stepMs, together }: MeasuredSpeeds,
  assumed: boolean,
): Speeds => ({ bytesPerSecond, flopsPerSecond, layerMs, stepMs, together, assumed });

const meanBytes = ({ layers }: ModelShape): number =>
  layers.reduce((sum, { bytes }) => sum + bytes, 0) / layers.length;

const isOf = (each: Family, { architecture, quantisation }: Family): boolean =>
  each.architecture === architecture && each.quantisation === quantisation;

const distance = (each: MeasuredSpeeds, layerBytes: number): number =>
  Math.abs(Math.log((each.layerBytes + 1) / (layerBytes + 1)));

const nearest = (
  known: readonly MeasuredSpeeds[] = [],
  isLike: (each: MeasuredSpeeds) => boolean,
  layerBytes: number,
): MeasuredSpeeds | undefined =>
  known.filter(isLike).toSorted((a, b) => distance(a, layerBytes) - distance(b, layerBytes))[0];
