/** A gateway's ports without a model: answers are given words, one token each. For tests only. */
import { systemClock } from "#actors/runtime/clock";
import type { Delta, Generation, TokenLogprob } from "#protocol/generation";
import { Problem } from "#protocol/problem";
import type { GatewayPorts } from "../ports.ts";

/** A word as a token: its id is its length, its probability a half, its only rival a quarter. */
export function scored(text: string, rivals = 1): TokenLogprob {
  const score = (of: string, logprob: number) => ({
    id: of.length,
    text: of,
    bytes: [...Buffer.from(of)],
    logprob,
  });
  return { ...score(text, -0.5), top: [score(text, -0.5), score("other", -2)].slice(0, rivals) };
}

/** The deltas of one answer to a prompt of three tokens. */
export function deltasOf(words: readonly string[], generation: Generation): Delta[] {
  const { logprobs, promptLogprobs, maxTokens = words.length } = generation;
  const said = words.slice(0, maxTokens);
  const usage = { promptTokens: 3, cachedTokens: 1, completionTokens: said.length };
  return [
    {
      type: "started",
      promptTokens: [7, 8, 9],
      ...(promptLogprobs && {
        promptTexts: ["Say", " it", ":"],
        promptLogprobs: [null, scored(" it"), scored(":")],
      }),
    },
    ...said.map((text): Delta => {
      const scores = logprobs === undefined ? {} : { logprobs: [scored(text, logprobs)] };
      return { type: "text", text, tokens: [text.length], ...scores };
    }),
    {
      type: "finish",
      reason: said.length < words.length ? "length" : "stop",
      usage,
      timings: { queueMs: 1, prefillMs: 2, decodeMs: 3 },
    },
  ];
}

/** Answers every request with the words, and remembers what was asked. */
export function fakePorts(
  words: readonly string[] = ["Hel", "lo", "!"],
  changes: Partial<GatewayPorts> = {},
): GatewayPorts & { readonly asked: Generation[] } {
  const asked: Generation[] = [];
  let ids = 0;
  return {
    asked,
    async *generate(generation) {
      asked.push(generation);
      yield* deltasOf(words, generation);
    },
    models: async () => [
      {
        id: "smollm2",
        state: "ready",
        created: 1_700_000_000,
        contextLength: 8192,
        quantisation: "bfloat16",
        bytes: 270,
      },
      { id: "org/name", state: "downloaded", created: 1_700_000_000 },
    ],
    nodes: async () => [],
    links: async () => [],
    measureLinks: async () => {},
    measureModel: async () => [],
    otherCopies: async () => [],
    checkpoint: async (model) => {
      throw new Problem("notFound", `no machine has ${model}`);
    },
    orderNode: async () => undefined,
    rotateKeys: async () => {},
    loaded: async () => [{ model: "smollm2", path: "/models/smollm2", state: "ready", requests: 0 }],
    changed: () => () => {},
    stop: async () => {},
    preload: async () => [],
    rebalance: async (model) => ({ model, moved: false, now: 1, notes: [] }),
    newId: () => `id${ids++}`,
    nowSeconds: () => 1_700_000_000,
    nowMs: systemClock.nowMs,
    after: systemClock.after,
    version: "1.2.3",
    nodeName: "studio",
    ...changes,
  };
}
