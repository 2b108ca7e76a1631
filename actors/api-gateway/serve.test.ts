import { afterEach, expect, test } from "bun:test";
import { Problem, type ProblemKind } from "#protocol/problem";
import type { GatewayPorts } from "./ports.ts";
import { app, createGateway, type Gateway } from "./serve.ts";
import { post, records, refusal } from "./test/ask.ts";
import { deltasOf, fakePorts } from "./test/fake-ports.ts";
import { mutations } from "./test/mutations.ts";

const path = "/v1/chat/completions";
const hello = { model: "smollm2", messages: [{ role: "user", content: "Hi" }] };

const open: Gateway[] = [];
afterEach(() => Promise.all(open.splice(0).map((gateway) => gateway.stop())));

function listening(changes: Partial<GatewayPorts> = {}): Gateway {
  const gateway = createGateway(fakePorts(undefined, changes), { host: "127.0.0.1", port: 0 });
  open.push(gateway);
  return gateway;
}

const handled = (changes: Partial<GatewayPorts> = {}, bodyBytesMax = 1_000_000) =>
  app(fakePorts(undefined, changes), { host: "127.0.0.1", bodyBytesMax });

const get = (url: string, method = "GET") =>
  handled().handle(new Request(`http://localhost${url}`, { method }));

test("each kind of problem has its status, type and code, with a time to retry where that helps", async () => {
  const kinds: readonly ProblemKind[] = [
    "invalid",
    "contextLength",
    "notFound",
    "forbidden",
    "tooLarge",
    "overloaded",
    "unavailable",
    "doesNotFit",
    "network",
    "cancelled",
    "internal",
  ];
  const answers = kinds.map(async (kind) => {
    // biome-ignore lint/correctness/useYield: it fails before its first delta
    async function* generate() {
      throw new Problem(kind, "so it is", { remedy: "do this" });
    }
    const response = await post(handled({ generate }), path, { ...hello, stream: true });
    const headers = ["retry-after", "retry-after-ms", "x-should-retry"].map(
      (name) => response.headers.get(name) ?? "-",
    );
    return `${kind}: ${await refusal(response)} ${headers.join(" ")}`;
  });
  expect((await Promise.all(answers)).join("\n")).toMatchInlineSnapshot(`
    "invalid: 400 invalid_request_error invalid_value null: so it is; do this - - -
    contextLength: 400 invalid_request_error context_length_exceeded null: so it is; do this - - -
    notFound: 404 not_found_error model_not_found null: so it is; do this - - -
    forbidden: 403 permission_error forbidden null: so it is; do this - - -
    tooLarge: 413 invalid_request_error request_too_large null: so it is; do this - - -
    overloaded: 429 rate_limit_error rate_limit_exceeded null: so it is; do this 1 1000 -
    unavailable: 503 server_error unavailable null: so it is; do this 2 2000 -
    doesNotFit: 503 server_error no_capacity null: so it is; do this 30 30000 false
    network: 503 server_error network null: so it is; do this 5 5000 -
    cancelled: 503 server_error cancelled null: so it is; do this 1 1000 false
    internal: 500 server_error internal_error null: so it is; do this - - -"
  `);
});

test("a bug in a port is reported, answered with 500, and the next request works", async () => {
  const reported: unknown[] = [];
  const failing = handled({
    loaded: () => Promise.reject(new TypeError("x is undefined")),
    report: (error) => reported.push(error),
  });
  const first = await failing.handle(new Request("http://localhost/exo/v1/ps"));
  const next = await failing.handle(new Request("http://localhost/healthz"));
  expect([await refusal(first), reported.map(String), next.status]).toEqual([
    "500 server_error internal_error null: internal error: x is undefined",
    ["TypeError: x is undefined"],
    200,
  ]);
});

test("addresses are found with a trailing slash, /v1 twice, a query, and an escaped or bare slash in a model", async () => {
  const urls = [
    "/v1/models/",
    "/v1/v1/models?limit=1000",
    "/v1/models/org%2Fname",
    "/v1/models/org/name/",
    "/v1/v1/models/ORG/name",
    "/",
    "/health",
    "/healthz",
    "/exo/v1/version",
    "/exo/v1/ps",
  ];
  expect(await Promise.all(urls.map(async (url) => (await get(url)).status))).toEqual(urls.map(() => 200));
});

test("unknown addresses, wrong methods and unknown models are told apart", async () => {
  const wrong = await get(path);
  expect([
    await refusal(await get("/v1/nothing")),
    [wrong.headers.get("allow"), await refusal(wrong)],
    await refusal(await get("/v1/models/%zz")),
    [
      (await get("/healthz", "HEAD")).status,
      (await get(path, "OPTIONS")).status,
      (await get("/healthz", "PUT")).status,
    ],
  ]).toEqual([
    "404 not_found_error unknown_url null: nothing answers to GET /v1/nothing; the API is under /v1",
    [
      "POST, OPTIONS",
      "405 invalid_request_error method_not_allowed null: /v1/chat/completions does not take GET; it takes POST, OPTIONS",
    ],
    "404 not_found_error model_not_found model: model '%zz' not found; `exo ls` shows yours, `exo pull %zz` fetches it",
    [200, 204, 405],
  ]);
});

test("models are stopped and loaded by name", async () => {
  const done: unknown[] = [];
  const gateway = handled({
    stop: async (model, now) => void done.push(["stop", model, now]),
    preload: async (model, wish) => {
      done.push(["load", model, wish]);
      return wish ? ["bob takes no part: drained"] : [];
    },
  });
  const answers = [
    await post(gateway, "/exo/v1/stop", { model: "all", now: true }),
    await post(gateway, "/exo/v1/load", { model: "smollm2" }),
    await post(gateway, "/exo/v1/load", { model: "smollm2", nodes: ["ada", "bob"], minimumNodes: 1 }),
    await post(gateway, "/exo/v1/load", {}),
  ];
  const said = await Promise.all(answers.map((answer) => answer.json()));
  expect([answers.map(({ status }) => status), said.slice(0, 3), done]).toEqual([
    [200, 200, 200, 400],
    [
      { model: "all", state: "stopped" },
      { model: "smollm2", state: "ready" },
      { model: "smollm2", state: "ready", notes: ["bob takes no part: drained"] },
    ],
    [
      ["stop", "all", true],
      ["load", "smollm2", undefined],
      ["load", "smollm2", { nodes: ["ada", "bob"], minimumNodes: 1 }],
    ],
  ]);
});

test("a stream whose first delta is late begins without it, and then tells of a failure inside", async () => {
  const failing = Promise.withResolvers<void>();
  const slow = handled({
    // biome-ignore lint/correctness/useYield: it fails before its first delta
    async *generate() {
      await failing.promise;
      throw new Problem("unavailable", "the worker was lost");
    },
    after: (ms, run) => {
      if (ms < 1000) queueMicrotask(run);
      return () => {};
    },
  });
  const response = await post(slow, path, { ...hello, stream: true });
  failing.resolve();
  expect([response.status, await records(response)]).toEqual([
    200,
    [
      { error: { message: "the worker was lost", type: "server_error", param: null, code: "unavailable" } },
      "[DONE]",
    ],
  ]);
});

test("a client that leaves ends its generation, before and after the first delta, whole and streaming", async () => {
  for (const [stream, begins] of [
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ] as const) {
    const client = new AbortController();
    const reached = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<void>();
    const { url } = listening({
      async *generate(generation, signal) {
        if (begins) yield* deltasOf(["Hi"], generation).slice(0, 2);
        reached.resolve();
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        aborted.resolve();
      },
    });
    const body = JSON.stringify({ ...hello, stream });
    const answer = fetch(url + path, { method: "POST", body, signal: client.signal }).then((response) =>
      response.text(),
    );
    await reached.promise;
    client.abort();
    await expect(answer).rejects.toThrow("aborted");
    await aborted.promise;
  }
});

test("a second server on a port is told who has it", () => {
  const { port } = listening();
  const second = () => createGateway(fakePorts(), { host: "127.0.0.1", port });
  expect(second).toThrow(`port ${port} of 127.0.0.1 is in use`);
});

test("stopping refuses new requests and cuts an answer that does not end", async () => {
  const reached = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  const timers: (() => void)[] = [];
  const { url, stop } = listening({
    async *generate(_, signal) {
      yield { type: "started", promptTokens: [1] };
      reached.resolve();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted.resolve();
    },
    after: (_, run) => {
      timers.push(run);
      return () => {};
    },
  });
  const answer = fetch(url + path, { method: "POST", body: JSON.stringify({ ...hello, stream: true }) });
  const text = (await answer).text().then(
    () => "ended",
    () => "cut",
  );
  await reached.promise;
  const stopped = stop();
  timers.at(-1)?.();
  await stopped;
  await aborted.promise;
  expect(["ended", "cut"]).toContain(await text);
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
});

test("ten thousand mutated bodies all get an answer in the dialect's shape", async () => {
  const gateway = handled();
  const statuses = new Set<number>();
  for (const { url, body } of mutations(10_000)) {
    const response = await post(gateway, url, body);
    statuses.add(response.status);
    const text = await response.text();
    if (response.status !== 200) {
      const { error } = JSON.parse(text);
      if (Object.keys(error).join() !== "message,type,param,code") throw new Error(`${body}\n${text}`);
    }
  }
  expect([...statuses].sort()).toEqual([200, 400]);
}, 600_000);
