/** The real model, from its GGUF file, against what transformers says in float32 over the same weights. */
import { expect, test } from "bun:test";
import { Engine } from "#actors/shard-worker/engine/engine";
import { buildModel } from "#actors/shard-worker/models/registry";
import { openText } from "#actors/shard-worker/text/text-port";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import type { Delta, Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import type { KvQuant } from "#protocol/shard";
import recorded from "./recorded/smollm2.json";

/** Below this margin between the best two logits, rounding may choose; the text is compared up to there. */
const MARGIN = 1e-3;
/** For one answer by MLX's own operations (EXO_CPU_KERNELS=mlx), which take up to fifteen seconds on a busy machine. */
const SLOWEST_MS = 60_000;
const GGUF = `${import.meta.dir}/../../.cache/models/smollm2/${recorded.file}`;

const mlx = builtMlx();
const { config, source, tokenizer } = openCheckpoint(GGUF, mlx);
if (!tokenizer) throw new Error(`${GGUF} has no tokenizer`);
const text = openText({ gguf: tokenizer }, { nowMs: () => 0 });
const model = buildModel(config, weightsOf(source, mlx, { dtype: "float32" }));
const engineOf = (kvQuant?: KvQuant) =>
  new Engine({ mlx, model, text, clock: { nowMs: () => 0 }, ...(kvQuant && { kvQuant }) });
const engine = engineOf();

function answerTo(generation: Generation, by = engine): Delta[] {
  const deltas: Delta[] = [];
  by.submit(generation, {
    delta: (delta) => deltas.push(delta),
    failed: (error) => {
      throw error;
    },
  });
  while (by.step());
  return deltas;
}

const asked = (question: string): Generation => ({
  id: question as RequestId,
  model: "smollm2",
  prompt: { type: "messages", messages: [{ role: "user", content: question }] },
  sampling: { temperature: 0 },
  maxTokens: 40,
  stop: [],
});

test.each(recorded.answers)(
  "$question is answered as transformers answers it",
  ({ question, prompt, ids, margins }) => {
    const deltas = answerTo(asked(question));
    const started = deltas.find((delta) => delta.type === "started");
    const tokens = deltas.flatMap((delta) => (delta.type === "text" ? delta.tokens : []));
    const unsure = margins.findIndex((margin) => margin < MARGIN);
    const sure = unsure < 0 ? ids.length : unsure;
    const end = ids.length < 40 ? ids.length - 1 : ids.length;
    const wanted = ids.slice(0, Math.min(sure, end));
    expect({ prompt: started?.promptTokens, tokens: tokens.slice(0, wanted.length) }).toEqual({
      prompt,
      tokens: wanted,
    });
  },
  SLOWEST_MS,
);

/** 16 bits keep a value to 2^-11: answers may part where the best two logits are nearer than this. */
const MARGIN_16_BITS = 2e-2;

test.each(recorded.answers)(
  "$question is answered alike with keys and values in 16 bits",
  ({ question, ids, margins }) => {
    const deltas = answerTo(asked(question), engineOf("f16"));
    const tokens = deltas.flatMap((delta) => (delta.type === "text" ? delta.tokens : []));
    const unsure = margins.findIndex((margin) => margin < MARGIN_16_BITS);
    const sure = ids.slice(0, unsure < 0 ? ids.length : unsure);
    expect(tokens.slice(0, sure.length)).toEqual(sure);
  },
  SLOWEST_MS,
);

test("the newcomer's question ends with the model's own words and its end token", () => {
  const deltas = answerTo(asked("What is the capital of France?"));
  const said = deltas.map((delta) => (delta.type === "text" ? delta.text : "")).join("");
  const last = deltas.at(-1);
  expect({ said, reason: last?.type === "finish" && last.reason }).toEqual({
    said: "The capital of France is Paris.",
    reason: "stop",
  });
});
