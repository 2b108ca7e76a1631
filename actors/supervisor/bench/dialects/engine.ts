/** The engine of this very process, without HTTP: the question goes to the actors, the answer's deltas come back. */
import type { Generate } from "#actors/api-gateway/ports";
import type { ChatMessage, Delta, Generation, Prompt } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { problemBody } from "#protocol/problem";
import type { PromptText } from "../question.ts";
import type { Wire, WireAnswer } from "../wire.ts";
import { type Dialect, type Heard, objectIn } from "./dialect.ts";

export const engine: Dialect = {
  api: "engine",
  path: "/engine",
  framing: "lines",
  lengthens: ["ignore_eos"],
  leastTokens: 1,
  body: ({ model, prompt, outputTokens, temperature, stream, exact }, { lengthens }) => ({
    model,
    prompt: promptOf(prompt),
    maxTokens: outputTokens,
    temperature,
    stream,
    ignoreEos: exact && lengthens === "ignore_eos",
  }),
  // The wire below already speaks in these words.
  heard: (event) => objectIn(event) as Heard,
};

function promptOf(prompt: PromptText): Prompt {
  switch (prompt.type) {
    case "tokens":
      return { type: "tokens", tokens: [...prompt.ids] };
    case "text":
      return { type: "text", text: prompt.text };
    case "messages":
      return { type: "messages", messages: [...prompt.messages] as ChatMessage[] };
  }
}

/** `score`: the log-probabilities of the prompt's tokens are asked for, nothing is answered. */
interface EngineBody {
  readonly model: string;
  readonly prompt: Prompt;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly stream: boolean;
  readonly ignoreEos: boolean;
  readonly score?: boolean;
}

export const engineWire = (generate: Generate, newId: () => string): Wire => ({
  url: "engine",
  async post(_, body, signal): Promise<WireAnswer> {
    const asked = body as EngineBody;
    const generation = generationOf(asked, newId() as RequestId);
    async function* chunks() {
      for await (const delta of generate(generation, signal)) yield Buffer.from(`${line(delta)}\n`);
    }
    if (asked.stream) return { status: 200, text: async () => "", chunks };
    try {
      const deltas = await Array.fromAsync(generate(generation, signal));
      return answered(200, wholeOf(deltas));
    } catch (error) {
      if (signal.aborted) throw error;
      return answered(400, { error: problemBody(error) });
    }
  },
});

function generationOf({ model, prompt, score = false, ...asked }: EngineBody, id: RequestId): Generation {
  return {
    id,
    model,
    prompt,
    sampling: { temperature: asked.temperature },
    maxTokens: asked.maxTokens,
    stop: [],
    ignoreEos: asked.ignoreEos,
    ...(score && { promptLogprobs: true, logprobs: 0 }),
  };
}

const line = (delta: Delta): string => JSON.stringify(heardIn(delta));

function heardIn(delta: Delta): Heard {
  switch (delta.type) {
    case "started":
      return { promptTokens: delta.promptTokens.length, promptIds: delta.promptTokens };
    case "text":
      return { answer: delta.text, ids: delta.tokens };
    case "finish": {
      const { promptTokens, cachedTokens, completionTokens } = delta.usage;
      const counts = { promptTokens, cachedTokens, outputTokens: completionTokens };
      return { ...counts, finish: delta.reason, queueMs: delta.timings.queueMs, ended: true };
    }
  }
}

/** Everything that was said, and the scores of the prompt where they were asked for. */
function wholeOf(deltas: readonly Delta[]): object {
  const started = deltas.find((delta) => delta.type === "started");
  const scores = started?.promptLogprobs?.map((each) => each?.logprob ?? null);
  const answer = deltas.map((delta) => (delta.type === "text" ? delta.text : "")).join("");
  const heard = Object.assign({}, ...deltas.map(heardIn), { answer });
  return { ...heard, ...(scores && { scores }) };
}

const answered = (status: number, body: object): WireAnswer => ({
  status,
  text: async () => JSON.stringify(body),
  async *chunks() {},
});

/** The question of a text's score, as `perplexityOf` asks it. */
export const scoreBody = (model: string, text: string): EngineBody => ({
  model,
  prompt: { type: "text", text },
  maxTokens: 1,
  temperature: 0,
  stream: false,
  ignoreEos: false,
  score: true,
});
