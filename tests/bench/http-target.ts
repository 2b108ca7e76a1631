/** An OpenAI-compatible server on a real port for the command line: five tokens at once, or none until told. */
import type { Server } from "bun";

export interface HttpTarget extends AsyncDisposable {
  readonly url: string;
  /** Streamed requests so far. */
  readonly streamed: () => number;
  /** From now on every request is answered. */
  heal(): void;
}

/** Requests from the `hangsFrom`-th on get one token and then nothing. */
export function httpTarget({
  hangsFrom = Number.POSITIVE_INFINITY,
  port = 0,
  onStreamed = (_nth: number): unknown => undefined,
} = {}): HttpTarget {
  let streamed = 0;
  let isHealed = false;
  const server: Server<undefined> = Bun.serve({
    port,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const body = (await request.json()) as {
        prompt: string | number[];
        max_tokens: number;
        stream?: boolean;
      };
      const ids = typeof body.prompt === "string" ? body.prompt.split(" ").map((_, i) => i) : body.prompt;
      const usage = { prompt_tokens: ids.length, completion_tokens: body.max_tokens };
      if (!body.stream) return Response.json({ choices: [{ text: "x", prompt_token_ids: ids }], usage });
      const hangs = streamed++ >= hangsFrom && !isHealed;
      onStreamed(streamed);
      return new Response(answer(body.max_tokens, usage, hangs), {
        headers: { "content-type": "text/event-stream" },
      });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/v1`,
    streamed: () => streamed,
    heal() {
      isHealed = true;
    },
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

async function* answer(tokens: number, usage: object, hangs: boolean): AsyncGenerator<string> {
  const event = (fields: object) => `data: ${JSON.stringify(fields)}\n\n`;
  for (let i = 0; i < tokens; i++) {
    yield event({ choices: [{ text: "x", token_ids: [i] }] });
    if (hangs) await new Promise(() => {});
  }
  yield event({ choices: [{ text: "", finish_reason: "length" }], usage });
  yield "data: [DONE]\n\n";
}
