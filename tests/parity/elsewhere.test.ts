/**
 * Chats of every architecture that go on in another worker, whatever is in its memory: each token after the place where the first was
 * lost has the very probability that it had there, which no other last bit of any layer leaves as it is.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Engine } from "#actors/shard-worker/engine/engine";
import { letters } from "#actors/shard-worker/engine/fake-model";
import type { Limits } from "#actors/shard-worker/engine/limits";
import type { Model } from "#actors/shard-worker/models/model";
import { buildModel } from "#actors/shard-worker/models/registry";
import { alikeIn } from "#actors/shard-worker/models/rows-alike";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import { repeatable } from "#ffi/plain-arrays";
import type { Delta, Generation, Resume } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { smollm2File } from "../e2e/product.ts";
import { cases, recorded, ungrouped, withWeights } from "./recorded-tiny.ts";

setDefaultTimeout(120_000);

const mlx = builtMlx();
const VOCABULARY = 320;
const CHATS = 6;
const ANSWER = 24;

type Text = Extract<Delta, { type: "text" }>;

interface Asked {
  readonly tokens: readonly number[];
  readonly seed: number;
  readonly resume?: Resume;
}

function worker(model: Model, limits: Partial<Limits>) {
  const kvQuant = mlx.kernels === "exo" ? { kvQuant: "f16" as const } : {};
  const engine = new Engine({ mlx, model, text: letters, clock: { nowMs: () => 0 }, limits, ...kvQuant });
  let asked = 0;
  const answered = ({ tokens, seed, resume }: Asked): Text[] => {
    const heard: Text[] = [];
    const generation: Generation = {
      id: `r${asked++}` as RequestId,
      model: "m",
      prompt: { type: "tokens", tokens: [...tokens] },
      sampling: { temperature: 0.8, seed },
      stop: [],
      ignoreEos: true,
      maxTokens: ANSWER,
      logprobs: 5,
      ...(resume && { resume }),
    };
    engine.submit(generation, {
      delta: (delta) => delta.type === "text" && heard.push(delta),
      failed: (error) => {
        throw error;
      },
    });
    while (engine.step());
    return heard;
  };
  return { answered, [Symbol.dispose]: () => engine.release() };
}

/** Numbers that look like chance: `at` says which. */
const draw = (at: number, below: number): number =>
  Math.floor(((repeatable(at + 1, 7, 1).at(-1) ?? 0) / 2 + 0.5) * below) % below;

const tokensOf = (said: readonly Text[]): number[] => said.flatMap(({ tokens }) => tokens);
const resumeOf = (said: readonly Text[]): Resume => {
  const strides = said[0]?.strides;
  const textLength = said.map(({ text }) => text).join("").length;
  return { tokens: tokensOf(said), textLength, ...(strides && { strides }) };
};

interface Workers {
  readonly limits: Partial<Limits>;
  /** What the second has otherwise. */
  readonly others: Partial<Limits>;
  readonly chats?: number;
}

/** Places in chats at which an answer that goes on from there is another; chats begin alike, and each has two turns. */
function wrongPlaces(model: Model, { limits, others, chats = CHATS }: Workers): string[] {
  using first = worker(model, limits);
  using second = worker(model, { ...limits, ...others });
  const wrong: string[] = [];
  for (let chat = 0; chat < chats; chat++) {
    const random = (of: number, below: number) => draw(100 * chat + of, below);
    const words = (count: number, salt: number) =>
      Array.from({ length: count }, (_, i) => (i * 37 + 11 * salt + 5) % VOCABULARY);
    let prompt = [...words(20 + random(0, 60), 0), ...words(1 + random(1, 30), chat + 1)];
    for (const turn of [0, 1]) {
      if (prompt.length + ANSWER > (model.contextLength ?? Number.POSITIVE_INFINITY)) break;
      const asked = { tokens: prompt, seed: chat };
      const whole = first.answered(asked);
      const cut = 1 + random(2 + turn, ANSWER - 2);
      const rest = second.answered({ ...asked, resume: resumeOf(whole.slice(0, cut)) });
      const [wanted, got] = [whole.slice(cut), rest].map((said) => said.map(({ logprobs }) => logprobs));
      if (!Bun.deepEquals(got, wanted)) wrong.push(`chat ${chat}, turn ${turn}, token ${cut}`);
      prompt = [...prompt, ...tokensOf(whole), ...words(1 + random(4, 25), 9)];
    }
  }
  return wrong;
}

test("a packed model goes on elsewhere as it would have gone on", () => {
  const { config, source } = openCheckpoint(smollm2File(), mlx);
  const model = buildModel(config, weightsOf(source, mlx, { dtype: "float32" }));
  const { rows, chunks } = alikeIn(config, mlx.kernels);
  const limits = { replayRows: rows, chunksAlike: chunks };
  expect(wrongPlaces(model, { limits, others: { prefillChunk: 48 }, chats: 2 })).toEqual([]);
});

const all = [...cases.map((name) => [name, recorded] as const), ["llama", ungrouped] as const];
test.each(all)("%s goes on elsewhere as it would have gone on (%p)", async (name, given) => {
  const made = await given(name);
  const { rows, chunks } = alikeIn(made.config as never, mlx.kernels);
  // Where chunks are not alike, all workers of a model have the same.
  const [limits, others] = chunks ? [{}, { prefillChunk: 48 }] : [{ prefillChunk: 48 }, {}];
  const wrong = withWeights(made, mlx, (load) =>
    wrongPlaces(load().model, { limits: { ...limits, replayRows: rows, chunksAlike: chunks }, others }),
  );
  expect(wrong).toEqual([]);
});
