/** A running exo as the command line sees one over HTTP; answers are scripted, requests recorded. */

export interface Asked {
  readonly path: string;
  readonly body: Record<string, unknown> | undefined;
}

export interface FakeDaemon extends AsyncDisposable {
  readonly url: string;
  readonly asked: readonly Asked[];
}

export interface Script {
  /** Pieces of every answer; `hang` then waits until the client leaves. */
  readonly pieces?: readonly (string | "hang")[];
  readonly models?: readonly object[];
  /** What it shows instead once it was asked to load one. */
  readonly loads?: readonly object[];
  /** Answers chats with this instead. */
  readonly failure?: Failure;
  /** How long it takes to say that it is well. */
  readonly slowMs?: number;
  /** Answers these paths so. */
  readonly failures?: Readonly<Record<string, Failure>>;
  readonly answers?: Readonly<Record<string, object>>;
}

interface Failure {
  readonly status: number;
  readonly error: object;
}

export function fakeDaemon({
  pieces = ["The capital of France", " is Paris."],
  models = [],
  loads = models,
  failure,
  slowMs = 0,
  failures = {},
  answers = {},
}: Script = {}): FakeDaemon {
  const asked: Asked[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const { pathname: path } = new URL(request.url);
      const body =
        request.method === "POST" ? ((await request.json()) as Record<string, unknown>) : undefined;
      if (path !== "/healthz") asked.push({ path, body });
      else await Bun.sleep(slowMs);
      const headers = { "x-exo-node": "fake" };
      const failed = failures[path];
      if (failed) return Response.json({ error: failed.error }, { status: failed.status, headers });
      if (path.endsWith("completions")) {
        if (failure) return Response.json({ error: failure.error }, { status: failure.status, headers });
        return new Response(streamed(pieces, path), {
          headers: { ...headers, "content-type": "text/event-stream" },
        });
      }
      if (path === "/exo/v1/ps") {
        const isLoaded = asked.some((each) => each.path === "/exo/v1/load");
        return Response.json({ models: isLoaded ? loads : models }, { headers });
      }
      return Response.json(answers[path] ?? { status: "ok" }, { headers });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    asked,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

async function* streamed(pieces: readonly string[], path: string): AsyncGenerator<string> {
  const event = (fields: object) => `data: ${JSON.stringify(fields)}\n\n`;
  for (const piece of pieces) {
    if (piece === "hang") await new Promise(() => {});
    const choice = path.includes("chat") ? { delta: { content: piece } } : { text: piece };
    yield event({ choices: [{ index: 0, ...choice }] });
  }
  yield event({ choices: [{ index: 0, delta: {}, text: "", finish_reason: "stop" }] });
  const usage = { prompt_tokens: 41, completion_tokens: 8, prompt_tokens_details: { cached_tokens: 2 } };
  yield event({ choices: [], usage, timings: { decode_ms: 400 } });
  yield "data: [DONE]\n\n";
}

/** One loaded model, as `ps` shows it. */
export const loadedModel = (model: string) => ({
  model,
  path: `/models/${model}`,
  state: "ready",
  pid: 4242,
  requests: 0,
  facts: {
    architecture: "llama",
    quantisation: "4-bit affine, group 32",
    layers: 30,
    contextLength: 2048,
    vocabularySize: 49152,
    weightBytes: 91_000_000,
    loadMs: 500,
  },
});
