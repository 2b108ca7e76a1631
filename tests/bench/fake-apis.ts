/** A server that speaks the other public APIs as their documents show them, one word a piece. */
import type { Server } from "bun";

export interface FakeApis extends AsyncDisposable {
  readonly origin: string;
  readonly asked: readonly ApiAsked[];
}

export interface ApiAsked {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
}

export function fakeApis(): FakeApis {
  const asked: ApiAsked[] = [];
  const server: Server<undefined> = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const path = new URL(request.url).pathname;
      const body = (await request.json()) as ApiAsked["body"];
      asked.push({ path, headers: Object.fromEntries(request.headers), body });
      const api = APIS[path];
      if (!api) return new Response("no such path", { status: 404 });
      if ("ignore_eos" in body) return Response.json({ error: { message: "extra field" } }, { status: 400 });
      const spoken = api(JSON.stringify(body.messages ?? body.input).split(/\s+/).length, tokensOf(body));
      if (body.stream !== true) return Response.json(spoken.whole);
      async function* chunks() {
        for (const line of spoken.stream) yield `${line}\n`;
      }
      return new Response(chunks(), { headers: { "content-type": spoken.type } });
    },
  });
  return {
    origin: `http://127.0.0.1:${server.port}`,
    asked,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

const tokensOf = (body: ApiAsked["body"]): number =>
  Number(body.max_tokens ?? body.max_output_tokens ?? (body.options as { num_predict?: number }).num_predict);

interface Spoken {
  readonly type: string;
  readonly whole: object;
  readonly stream: readonly string[];
}

const words = (count: number): readonly string[] => Array.from({ length: count }, () => " word");
const event = (fields: { type: string }): string[] => [
  `event: ${fields.type}`,
  `data: ${JSON.stringify(fields)}`,
  "",
];

/** https://platform.openai.com/docs/api-reference/responses-streaming */
function responses(prompt: number, tokens: number): Spoken {
  const usage = {
    input_tokens: prompt,
    input_tokens_details: { cached_tokens: 2 },
    output_tokens: tokens,
    output_tokens_details: { reasoning_tokens: 1 },
    total_tokens: prompt + tokens,
  };
  const text = words(tokens - 1).join("");
  const output = [
    {
      type: "message",
      id: "msg_1",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text, annotations: [] }],
    },
  ];
  const whole = {
    id: "resp_1",
    object: "response",
    status: "incomplete",
    incomplete_details: { reason: "max_output_tokens" },
    output,
    usage,
  };
  const at = { item_id: "msg_1", output_index: 0, content_index: 0 };
  return {
    type: "text/event-stream",
    whole,
    stream: [
      event({ type: "response.created" }),
      event({ type: "response.reasoning_summary_text.delta", delta: "hm", ...at } as { type: string }),
      ...words(tokens - 1).map((delta) =>
        event({ type: "response.output_text.delta", delta, ...at } as { type: string }),
      ),
      event({ type: "response.output_text.done", text, ...at } as { type: string }),
      event({ type: "response.incomplete", response: whole } as { type: string }),
    ].flat(),
  };
}

/** https://docs.anthropic.com/en/docs/build-with-claude/streaming */
function messages(prompt: number, tokens: number): Spoken {
  const input = { input_tokens: prompt - 3, cache_read_input_tokens: 3, cache_creation_input_tokens: 0 };
  const head = { id: "msg_1", type: "message", role: "assistant", model: "m" };
  const said = (fields: object) => event(fields as { type: string });
  return {
    type: "text/event-stream",
    whole: {
      ...head,
      content: [{ type: "text", text: words(tokens).join("") }],
      stop_reason: "max_tokens",
      usage: { ...input, output_tokens: tokens },
    },
    stream: [
      said({
        type: "message_start",
        message: { ...head, content: [], usage: { ...input, output_tokens: 1 } },
      }),
      said({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }),
      said({ type: "ping" }),
      ...words(tokens).map((text) =>
        said({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }),
      ),
      said({ type: "content_block_stop", index: 0 }),
      said({
        type: "message_delta",
        delta: { stop_reason: "max_tokens", stop_sequence: null },
        usage: { output_tokens: tokens },
      }),
      said({ type: "message_stop" }),
    ].flat(),
  };
}

/** https://github.com/ollama/ollama/blob/main/docs/api.md */
function ollama(prompt: number, tokens: number): Spoken {
  const head = { model: "m", created_at: "2026-11-21T10:00:00Z" };
  const last = {
    ...head,
    done: true,
    done_reason: "length",
    total_duration: 9e8,
    load_duration: 5e6,
    prompt_eval_count: prompt,
    prompt_eval_duration: 4e8,
    eval_count: tokens,
    eval_duration: 4e8,
  };
  const message = (content: string) => ({ message: { role: "assistant", content } });
  return {
    type: "application/x-ndjson",
    whole: { ...last, ...message(words(tokens).join("")) },
    stream: [
      ...words(tokens).map((word) => JSON.stringify({ ...head, ...message(word), done: false })),
      JSON.stringify({ ...last, ...message("") }),
    ],
  };
}

const APIS: Readonly<Record<string, (prompt: number, tokens: number) => Spoken>> = {
  "/v1/responses": responses,
  "/v1/messages": messages,
  "/api/chat": ollama,
};
