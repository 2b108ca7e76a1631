/** POST /v1/chat/completions: https://platform.openai.com/docs/api-reference/chat */
import { type Static, Type as t } from "@sinclair/typebox";
import type { Generation, Prompt, TokenLogprob } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { bodyOf, isRecord, present } from "./body.ts";
import type { Asked, ChoiceDelta, Completion, Dialect, Frame, TextDelta } from "./dialect.ts";
import { Fault, unsupported } from "./fault.ts";
import { openaiFailureFrames } from "./openai-failure.ts";
import { checkDepth, checkText, commonFields, toOptions } from "./openai-fields.ts";
import { chatLogprobs } from "./openai-logprobs.ts";
import { OpenAiMessage, toMessage } from "./openai-messages.ts";
import { recorder } from "./openai-stream.ts";
import { toolFields, toTools } from "./openai-tools.ts";
import { timingsOf, usageOf } from "./openai-usage.ts";
import { chatShaped } from "./responses-body.ts";

const limit = t.Optional(t.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }));

const Body = t.Object({
  ...commonFields,
  ...toolFields,
  messages: t.Array(OpenAiMessage, { minItems: 1 }),
  max_completion_tokens: limit,
  max_tokens: limit,
  logprobs: t.Optional(t.Boolean()),
  top_logprobs: t.Optional(t.Integer({ minimum: 0, maximum: 20 })),
  chat_template_kwargs: t.Optional(t.Record(t.String(), t.Unknown())),
  enable_thinking: t.Optional(t.Boolean()),
  reasoning_effort: t.Optional(t.String()),
  response_format: t.Optional(t.Object({ type: t.String() })),
  modalities: t.Optional(t.Array(t.String())),
});
type Body = Static<typeof Body>;

const check = bodyOf(Body);

export const openaiChat: Dialect<Body> = {
  path: "/v1/chat/completions",
  idPrefix: "chatcmpl-",
  parse: (json) => check(isRecord(json) ? chatShaped(json) : json),
  streams: (body) => body.stream ?? false,
  toGenerations,
  stream,
  answer,
  failureFrames: openaiFailureFrames,
};

function toGenerations({ body, id }: Asked<Body>): readonly Generation[] {
  refuseUnsupported(body);
  const prompt = toPrompt(body);
  const maxTokens = body.max_completion_tokens ?? body.max_tokens;
  return Array.from({ length: body.n ?? 1 }, (_, choice) => ({
    id: `${id}-${choice}` as RequestId,
    prompt,
    ...toOptions(body, choice, maxTokens),
    ...(body.logprobs && { logprobs: body.top_logprobs ?? 0 }),
  }));
}

function refuseUnsupported({ response_format, modalities, logprobs, top_logprobs }: Body): void {
  if (response_format && response_format.type !== "text") {
    throw unsupported(
      "response_format",
      `response_format of type "${response_format.type}"`,
      "use type text",
    );
  }
  if (modalities?.some((modality) => modality !== "text")) {
    throw unsupported("modalities", "an answer other than text", 'use ["text"]');
  }
  if (top_logprobs && !logprobs) {
    throw new Fault("invalid_value", "`top_logprobs` needs `logprobs` to be true", { param: "top_logprobs" });
  }
}

function toPrompt(body: Body): Prompt {
  const messages = body.messages.map(toMessage);
  checkText(
    "messages",
    messages.reduce((chars, { content }) => chars + content.length, 0),
  );
  checkDepth("chat_template_kwargs", body.chat_template_kwargs);
  const variables = { ...thinking(body), ...body.chat_template_kwargs };
  return {
    type: "messages",
    messages,
    ...present({
      templateVariables: Object.keys(variables).length > 0 ? variables : undefined,
      tools: toTools(body),
    }),
  };
}

/** The variables by which templates turn reasoning off or set how much of it there is. */
function thinking({ reasoning_effort, enable_thinking }: Body): Record<string, unknown> {
  return {
    ...(reasoning_effort === "none" && { enable_thinking: false }),
    ...(reasoning_effort !== undefined && reasoning_effort !== "none" && { reasoning_effort }),
    ...(enable_thinking !== undefined && { enable_thinking }),
  };
}

async function* stream(asked: Asked<Body>, deltas: AsyncIterable<ChoiceDelta>): AsyncGenerator<Frame> {
  const { body } = asked;
  const n = body.n ?? 1;
  const withUsage = body.stream_options?.include_usage ?? false;
  const to = recorder({ head: head(asked, "chat.completion.chunk"), choices: n, perPrompt: n, withUsage });
  for await (const { choice: index, delta } of deltas) {
    switch (delta.type) {
      case "started": {
        const ids = body.return_token_ids ? { prompt_token_ids: delta.promptTokens } : {};
        yield to.record({ index, delta: opening, logprobs: null, finish_reason: null, ...ids }, ids);
        break;
      }
      case "text":
        if (speaks(delta, body)) yield to.record(textChoice(index, delta, body));
        break;
      case "finish":
        yield to.finished(index, delta, { delta: {} });
    }
  }
  yield* to.end();
}

const opening = { role: "assistant", content: "", refusal: null };

/** A delta held back for a half character or a possible stop string says nothing, unless its tokens are asked for. */
const speaks = (delta: TextDelta, { logprobs, return_token_ids }: Body): boolean =>
  delta.text !== "" || ((logprobs || return_token_ids) === true && delta.tokens.length > 0);

const textChoice = (index: number, delta: TextDelta, body: Body) => ({
  index,
  delta: { content: delta.text },
  logprobs: scores(delta.logprobs, body),
  finish_reason: null,
  ...(body.return_token_ids && { token_ids: delta.tokens }),
});

function answer(asked: Asked<Body>, completions: readonly Completion[]): object {
  const { body } = asked;
  const finishes = completions.map(({ finish }) => finish);
  const n = completions.length;
  return {
    ...head(asked, "chat.completion"),
    choices: completions.map(({ text, tokens, logprobs, started, finish }, index) => ({
      index,
      message: { role: "assistant", content: text, refusal: null },
      logprobs: scores(logprobs, body),
      finish_reason: finish.reason,
      ...(body.return_token_ids && { token_ids: tokens, prompt_token_ids: started.promptTokens }),
    })),
    usage: usageOf(finishes, n),
    timings: timingsOf(finishes, n),
    ...(body.return_token_ids && { prompt_token_ids: completions[0]?.started.promptTokens }),
  };
}

const head = ({ body, id, created }: Asked<Body>, object: string) => ({
  id,
  object,
  created,
  model: body.model,
  system_fingerprint: null,
  service_tier: "default",
});

const scores = (logprobs: readonly TokenLogprob[] | undefined, body: Body) =>
  body.logprobs ? chatLogprobs(logprobs ?? []) : null;
