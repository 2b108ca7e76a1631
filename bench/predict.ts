/**
 * How well speeds are predicted: a short calibration of some layers of a model, as a machine makes it before it takes part in a plan,
 * and what the planner makes of it for the whole model on this machine, beside what the token loop then does. Both in one run, round by
 * round. Run: bun bench/predict.ts [GGUF file, folder or name of bench/models.ts] [rounds]
 */

import { layersToMeasure } from "#actors/planner/calibration";
import { DEFAULT_WISH } from "#actors/planner/home";
import { learned, speedsFor } from "#actors/planner/measured-speeds";
import { predict } from "#actors/planner/placement/predict";
import type { Engine } from "#actors/shard-worker/engine/engine";
import { measured } from "#actors/shard-worker/measure";
import { readCheckpoint, readModelShape } from "#actors/shard-worker/weights/checkpoint";
import { medianOf } from "#actors/supervisor/bench/statistics";
import type { NodeId, RequestId } from "#protocol/ids";
import type { NodeFacts } from "#protocol/node";
import { watched } from "./figures/surroundings.ts";
import { modelHere } from "./loading.ts";

const [name = "smollm2", rounds = "5"] = process.argv.slice(2);
const [PROMPT, ANSWER] = [512, 64];
/** A kept value: float16, the default on a CPU. */
const KV_BYTES = 2;
const { path, load } = await modelHere(name, 2048);

const shape = readModelShape(path);
const { facts, config } = readCheckpoint(path);
const model = { architecture: config.model_type, quantisation: facts.quantisation, shape, kvBytes: KV_BYTES };
const part = load(layersToMeasure(shape));
const whole = load();
const engine = whole.engine?.();
if (!engine) throw new Error("a whole model has an engine");

/** Tokens per second of one answer, and of a prompt, by the model of costs. */
async function predicted(): Promise<{ decode: number; together: number; prefill: number; tookMs: number }> {
  const startedMs = performance.now();
  const pace = await measured(part.layers, { nowMs: () => performance.now(), rest: async () => {} });
  const tookMs = performance.now() - startedMs;
  const speeds = learned(model, pace);
  if (!speeds) throw new Error("nothing was measured");
  const node = "here" as NodeId;
  const home = {
    machines: [
      {
        node,
        name: "here",
        freeBytes: 1e12,
        activationBytes: 4,
        speeds: speedsFor({ speeds: [speeds] } as NodeFacts, model),
      },
    ],
    ways: [[undefined]],
  };
  const wish = { ...DEFAULT_WISH, prompt: PROMPT, chunk: 512, streams: 4, kvBytes: KV_BYTES };
  const all = [{ machines: [0], start: 0, end: shape.layers.length }];
  const {
    decodeTokensPerSecond: decode,
    totalTokensPerSecond: together,
    prefillTokensPerSecond: prefill,
  } = predict(shape, home, wish, all);
  return { decode, together, prefill, tookMs };
}

let asked = 0;
/** Answers at once: tokens per second of all, from the last first token on, and of the prompt of a single one. */
function ran(by: Engine, answers: number): { decode: number; prefill: number } {
  const firstMs: number[] = [];
  const firsts = new Set<number>();
  let lastMs = 0;
  const startedMs = performance.now();
  for (let at = 0; at < answers; at++) {
    asked += 1;
    const tokens = Array.from({ length: PROMPT }, (_, i) => 100 + ((i * 7 + asked * 31) % 900));
    by.submit(
      {
        id: `r${asked}` as RequestId,
        model: name,
        prompt: { type: "tokens", tokens },
        sampling: { temperature: 0 },
        stop: [],
        ignoreEos: true,
        maxTokens: ANSWER,
      },
      {
        delta: (delta) => {
          if (delta.type !== "text") return;
          lastMs = performance.now();
          if (!firsts.has(at)) firstMs.push(lastMs);
          firsts.add(at);
        },
        failed: (error) => {
          throw error;
        },
      },
    );
  }
  let steps = 0;
  let sinceMs = 0;
  const times: number[] = [];
  while (by.step()) {
    const nowMs = performance.now();
    if (sinceMs > 0 && firstMs.length === answers) times.push(nowMs - sinceMs);
    sinceMs = nowMs;
    steps += 1;
  }
  if (steps === 0) throw new Error("nothing ran");
  return {
    decode: (1000 * answers) / medianOf(times),
    prefill: (1000 * PROMPT) / ((firstMs[0] ?? 0) - startedMs),
  };
}

interface Round {
  readonly guess: Awaited<ReturnType<typeof predicted>>;
  readonly one: ReturnType<typeof ran>;
  readonly four: ReturnType<typeof ran>;
}

const disturbances = watched(false);
const all: Round[] = [];
for (let round = 0; round < Number(rounds); round++)
  all.push({ guess: await predicted(), one: ran(engine, 1), four: ran(engine, 4) });

const percent = (part: number): string => `${part < 0 ? "" : "+"}${(100 * part).toFixed(1)} %`;
/** Each prediction is set against what ran in its own round: in another one the machine may have had other work. */
function told(what: string, guessed: (round: Round) => number, was: (round: Round) => number): void {
  const errors = all.map((round) => guessed(round) / was(round) - 1);
  const [least, most] = [Math.min(...errors), Math.max(...errors)].map(percent);
  const [guess, true_] = [medianOf(all.map(guessed)), medianOf(all.map(was))].map((each) => each.toFixed(1));
  console.log(
    `${name} ${what}: predicted ${guess} tok/s, ran ${true_}: ${percent(medianOf(errors))} (${least} to ${most})`,
  );
}
told(
  "decode",
  ({ guess }) => guess.decode,
  ({ one }) => one.decode,
);
told(
  "decode of 4",
  ({ guess }) => guess.together,
  ({ four }) => four.decode,
);
told(
  "prefill",
  ({ guess }) => guess.prefill,
  ({ one }) => one.prefill,
);
const tookMs = medianOf(all.map(({ guess }) => guess.tookMs));
console.log(
  `calibration: ${tookMs.toFixed(0)} ms, without loading; ${disturbances().join("; ") || "undisturbed"}`,
);
