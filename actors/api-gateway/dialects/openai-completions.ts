/** POST /v1/completions: https://platform.openai.com/docs/api-reference/completions */
import { type Static, Type as t } from "@sinclair/typebox";
import type { Generation, Prompt } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { bodyOf } from "./body.ts";
import type { Asked, ChoiceDelta, Completion, Dialect, Frame, Started, TextDelta } from "./dialect.ts";
import { Fault, unsupported } from "./fault.ts";
import { openaiFailureFrames } from "./openai-failure.ts";
import { checkText, checkTokens, commonFields, toOptions } from "./openai-fields.ts";
import { legacyLogprobs, type Scored, scoredPrompt } from "./openai-logprobs.ts";
import { recorder } from "./openai-stream.ts";
import { timingsOf, usageOf } from "./openai-usage.ts";

const MAX_TOKENS_DEFAULT = 16;
/** Prompts times `n` of one request; evaluation harnesses send some hundreds of prompts at once. */
const CHOICES_MAX = 2048;

const tokens = t.Array(t.Integer({ minimum: 0, maximum: 0xffffffff }), { minItems: 1 });

const Body = t.Object({
  ...commonFields,
  prompt: t.Union(
    [t.String(), tokens, t.Array(t.String(), { minItems: 1 }), t.Array(tokens, { minItems: 1 })],
    { description: "a text, a list of token ids, or a list of several of either, none empty" },
  ),
  max_tokens: t.Optional(t.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  logprobs: t.Optional(t.Integer({ minimum: 0, maximum: 20 })),
  echo: t.Optional(t.Boolean()),
  best_of: t.Optional(t.Integer({ minimum: 1 })),
  suffix: t.Optional(t.String()),
});
type Body = Static<typeof Body>;

export const openaiCompletions: Dialect<Body> = {
  path: "/v1/completions",
  idPrefix: "cmpl-",
  parse: bodyOf(Body),
  streams: (body) => body.stream ?? false,
  toGenerations,
  stream,
  answer,
  failureFrames: openaiFailureFrames,
};

function toGenerations({ body, id }: Asked<Body>): readonly Generation[] {
  const n = body.n ?? 1;
  const prompts = promptsOf(body);
  refuse(body, n, prompts.length);
  const maxTokens = body.max_tokens ?? MAX_TOKENS_DEFAULT;
  return prompts.flatMap((prompt, at) =>
    Array.from({ length: n }, (_, choice) => ({
      id: `${id}-${at * n + choice}` as RequestId,
      prompt,
      ...toOptions(body, choice, maxTokens),
      ...(body.logprobs !== undefined && { logprobs: body.logprobs }),
      ...(scoresPrompt(body, prompt) && { promptLogprobs: true }),
    })),
  );
}

/** Scoring is also how the text of a prompt given as ids comes back. */
const scoresPrompt = ({ echo, logprobs }: Body, prompt: Prompt): boolean =>
  echo === true && (logprobs !== undefined || prompt.type === "tokens");

function refuse({ max_tokens, echo, best_of, suffix }: Body, n: number, prompts: number): void {
  if (suffix) throw unsupported("suffix", "filling in before a suffix", "leave it out");
  if (best_of !== undefined && best_of !== n)
    throw unsupported("best_of", "`best_of` other than `n`", "leave it out");
  if (max_tokens === 0 && !echo) {
    throw new Fault("invalid_value", "`max_tokens` 0 needs `echo`, or there is nothing to answer", {
      param: "max_tokens",
    });
  }
  if (n * prompts > CHOICES_MAX) {
    const message = `${prompts} prompts with \`n\` ${n} are ${n * prompts} choices; the limit is ${CHOICES_MAX}`;
    throw new Fault("invalid_value", message, { param: "prompt", remedy: "send them in several requests" });
  }
}

function promptsOf({ prompt }: Body): readonly Prompt[] {
  if (typeof prompt === "string") return [textPrompt(prompt)];
  if (isIds(prompt)) return [tokenPrompt(prompt)];
  return prompt.map((one) => (typeof one === "string" ? textPrompt(one) : tokenPrompt(one)));
}

/** The schema lets no list mix the two, so its first entry tells. */
const isIds = (prompt: readonly unknown[]): prompt is number[] => typeof prompt[0] === "number";

function textPrompt(text: string): Prompt {
  checkText("prompt", text.length);
  return { type: "text", text };
}

function tokenPrompt(ids: number[]): Prompt {
  checkTokens("prompt", ids.length);
  return { type: "tokens", tokens: ids };
}

async function* stream(asked: Asked<Body>, deltas: AsyncIterable<ChoiceDelta>): AsyncGenerator<Frame> {
  const { body } = asked;
  const perPrompt = body.n ?? 1;
  const prompts = promptsOf(body);
  const withUsage = body.stream_options?.include_usage ?? false;
  const to = recorder({ head: head(asked), choices: prompts.length * perPrompt, perPrompt, withUsage });
  const offsets = new Map<number, number>();
  for await (const { choice: index, delta } of deltas) {
    if (delta.type === "finish") {
      yield to.finished(index, delta, { text: "" });
      continue;
    }
    const said = sayingOf(body, prompts[Math.floor(index / perPrompt)], delta);
    if (!said) continue;
    const offset = offsets.get(index) ?? 0;
    offsets.set(index, offset + lengthOf(said.scored));
    const logprobs = body.logprobs === undefined ? null : legacyLogprobs(said.scored, offset);
    yield to.record({ index, text: said.text, logprobs, finish_reason: null, ...said.ids });
  }
  yield* to.end();
}

/** What one delta gives the client to read, if anything. */
function sayingOf(body: Body, prompt: Prompt | undefined, delta: Started | TextDelta): Saying | undefined {
  const { echo, return_token_ids } = body;
  if (delta.type === "started") {
    const ids = return_token_ids ? { prompt_token_ids: delta.promptTokens, token_ids: [] } : {};
    return echo || return_token_ids ? { ...echoed(body, prompt, delta), ids } : undefined;
  }
  const ids = return_token_ids ? { token_ids: delta.tokens } : {};
  return speaks(delta, body) ? { text: delta.text, scored: delta.logprobs ?? [], ids } : undefined;
}

interface Saying {
  readonly text: string;
  readonly scored: readonly Scored[];
  readonly ids: object;
}

const speaks = (delta: TextDelta, { logprobs, return_token_ids }: Body): boolean =>
  delta.text !== "" || ((logprobs !== undefined || return_token_ids === true) && delta.tokens.length > 0);

const lengthOf = (scored: readonly Scored[]): number =>
  scored.reduce((sum, { text }) => sum + [...text].length, 0);

function answer(asked: Asked<Body>, completions: readonly Completion[]): object {
  const { body } = asked;
  const n = body.n ?? 1;
  const prompts = promptsOf(body);
  const finishes = completions.map(({ finish }) => finish);
  return {
    ...head(asked),
    choices: completions.map(({ text, tokens: ids, logprobs, started, finish }, index) => {
      const echo = echoed(body, prompts[Math.floor(index / n)], started);
      return {
        index,
        text: echo.text + text,
        logprobs: body.logprobs === undefined ? null : legacyLogprobs([...echo.scored, ...logprobs], 0),
        finish_reason: finish.reason,
        ...(body.return_token_ids && { token_ids: ids, prompt_token_ids: started.promptTokens }),
      };
    }),
    usage: usageOf(finishes, n),
    timings: timingsOf(finishes, n),
  };
}

/** The prompt as it stands before the answer, if the client wants it there. */
function echoed(
  { echo }: Body,
  prompt: Prompt | undefined,
  started: Started,
): { text: string; scored: readonly Scored[] } {
  if (!echo) return { text: "", scored: [] };
  const scored = scoredPrompt(started.promptLogprobs ?? [], started.promptTexts);
  const text = prompt?.type === "text" ? prompt.text : scored.map((token) => token.text).join("");
  return { text, scored };
}

const head = ({ body, id, created }: Asked<Body>) => ({
  id,
  object: "text_completion",
  created,
  model: body.model,
  system_fingerprint: null,
});
