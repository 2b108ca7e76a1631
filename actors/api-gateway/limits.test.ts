import { afterEach, expect, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import { Crowd } from "./crowd.ts";
import { checkShape } from "./json-shape.ts";
import { BODY_MS, JSON_DEPTH_MAX, NETWORK_REQUESTS, REQUESTS_PER_ADDRESS } from "./limits.ts";
import type { GatewayPorts } from "./ports.ts";
import { app, createGateway, type Gateway } from "./serve.ts";
import { post, refusal } from "./test/ask.ts";
import { fakePorts } from "./test/fake-ports.ts";
import { connect } from "./test/raw.ts";

const path = "/v1/chat/completions";
const hello = { model: "smollm2", messages: [{ role: "user", content: "Hi" }] };

const opened: Gateway[] = [];
afterEach(() => Promise.all(opened.splice(0).map((gateway) => gateway.stop())));

function listening(changes: Partial<GatewayPorts> = {}, words?: readonly string[]): Gateway {
  const gateway = createGateway(fakePorts(words, changes), { host: "127.0.0.1", port: 0 });
  opened.push(gateway);
  return gateway;
}

/** Real time, but what would wait for `ms` or longer is given to the test instead. */
function heldTimers(leastMs: number) {
  const held: { readonly ms: number; readonly run: () => void }[] = [];
  const after = (ms: number, run: () => void) => {
    if (ms < leastMs) return systemClock.after(ms, run);
    const timer = { ms, run };
    held.push(timer);
    return () => void held.splice(held.indexOf(timer), 1);
  };
  return { after, held };
}

const handled = app(fakePorts(), { host: "127.0.0.1", bodyBytesMax: 30_000_000 });

test("T19: bodies too large, too deep or of too many values are refused in no time, and nothing is kept of them", async () => {
  const deep = (open: string, close: string, levels = 100_000) => open.repeat(levels) + close.repeat(levels);
  const bombs: Record<string, string> = {
    large: JSON.stringify({ text: "x".repeat(30_000_000) }),
    "deep lists": deep("[", "]"),
    "deep objects": deep('{"a":', "}"),
    "deep and open": "[".repeat(1_000_000),
    "one level too many": deep("[", "]", JSON_DEPTH_MAX + 1),
    "many values": `[${"0,".repeat(9_000_000)}0]`,
    "many keys": `{${'"":0,'.repeat(4_000_001)}"":0}`,
    "many lists": `[${"[],".repeat(5_000_000)}[]]`,
  };
  const told: string[] = [];
  const slow: string[] = [];
  for (const [name, body] of Object.entries(bombs)) {
    const start = process.cpuUsage();
    const answer = await refusal(await post(handled, path, body));
    const { user, system } = process.cpuUsage(start);
    if (user + system > REFUSED_MICROSECONDS) slow.push(name);
    told.push(`${name}: ${answer.slice(0, 100)}`);
  }
  expect({ told: told.join("\n"), slow }).toMatchInlineSnapshot(`
    {
      "slow": [],
      "told": 
    "large: 413 invalid_request_error request_too_large null: the body is larger than the limit of 30000000 byte
    deep lists: 400 invalid_request_error invalid_json null: the body is nested deeper than 64 levels
    deep objects: 400 invalid_request_error invalid_json null: the body is nested deeper than 64 levels
    deep and open: 400 invalid_request_error invalid_json null: the body is nested deeper than 64 levels
    one level too many: 400 invalid_request_error invalid_json null: the body is nested deeper than 64 levels
    many values: 400 invalid_request_error invalid_json null: the body has more than 4000000 values
    many keys: 400 invalid_request_error invalid_json null: the body has more than 4000000 values
    many lists: 400 invalid_request_error invalid_json null: the body has more than 4000000 values"
    ,
    }
  `);
});

/** Of the processor, so that a busy machine changes nothing; most of it goes into the test's own sending of 30 MB. */
const REFUSED_MICROSECONDS = 500_000;

test("T19: brackets, quotes and commas inside texts do not count", () => {
  const texts = ["[".repeat(1000), ",".repeat(10), '\\"[[', "\\", '\\\\"', "{}[]"];
  const deepest = "[".repeat(JSON_DEPTH_MAX) + "]".repeat(JSON_DEPTH_MAX);
  const check = (json: string) => checkShape(new TextEncoder().encode(json));
  for (const text of texts) check(JSON.stringify({ [text]: [text, { text }] }));
  check(deepest);
  check('"an open text [[[[');
  expect(() => check(`[${deepest}]`)).toThrow(`deeper than ${JSON_DEPTH_MAX} levels`);
});

test("T20: a body that trickles is given up after its deadline, with 408 and the connection closed", async () => {
  const { after, held } = heldTimers(BODY_MS);
  const { port } = listening({ after });
  const client = await connect(port);
  client.write(`POST ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 1000\r\n\r\n{"mo`);
  while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
  client.write("d");
  for (const { run } of [...held]) run();
  const answer = await client.closed;
  expect([answer.split("\r\n")[0], answer.includes("request_timeout"), held]).toEqual([
    "HTTP/1.1 408 Request Timeout",
    true,
    [],
  ]);
});

test("T20: five hundred clients that send nothing more keep nobody from a first token", async () => {
  const { port, url } = listening();
  const slow = await Promise.all(Array.from({ length: 500 }, () => connect(port)));
  slow.forEach((client, at) => {
    const body =
      at % 2
        ? "GET / HTTP/1.1\r\nHost: l"
        : `POST ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 9\r\n\r\n{`;
    client.write(body);
  });
  const answer = await fetch(url + path, {
    method: "POST",
    body: JSON.stringify({ ...hello, stream: true }),
  });
  const text = await answer.text();
  for (const client of slow) client.end();
  expect([answer.status, text.endsWith("data: [DONE]\n\n")]).toEqual([200, true]);
});

test("T20: one address of the network has 64 places and all have 512; each is given back", () => {
  const crowd = new Crowd();
  const fill = (client: string, count: number) => Array.from({ length: count }, () => crowd.enter(client));
  const leaves = fill("192.0.2.1", REQUESTS_PER_ADDRESS);
  const ninth = () => crowd.enter("192.0.2.1");
  expect(ninth).toThrow("64 requests of this address are under way");
  for (let at = 2; at <= NETWORK_REQUESTS / REQUESTS_PER_ADDRESS; at++)
    fill(`192.0.2.${at}`, REQUESTS_PER_ADDRESS);
  expect(() => crowd.enter("192.0.2.99")).toThrow("512 requests are under way");
  leaves[0]?.();
  expect(ninth).not.toThrow();
});

test("T20: a request of the network gives its place back when its answer, or the reader of its stream, ends", async () => {
  const open = app(fakePorts(), { host: "0.0.0.0", apiKey: "k" });
  const ask = (stream: boolean) => {
    const headers = { authorization: "Bearer k" };
    const request = new Request(`http://localhost${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify({ ...hello, stream }),
    });
    return open.handle(request, { address: "192.0.2.1", idle() {} });
  };
  const statuses = new Set<number>();
  for (let round = 0; round < 2 * REQUESTS_PER_ADDRESS; round++) {
    const answer = await ask(round % 2 === 0);
    statuses.add(answer.status);
    if (round % 4 === 0) await answer.body?.cancel();
    else await answer.text();
  }
  expect([...statuses]).toEqual([200]);
});

test("T21: a body that unpacks to a thousand times its size ends at the limit", async () => {
  const bomb = Bun.zstdCompressSync(Buffer.alloc(200_000_000, 0x20));
  const before = process.memoryUsage().rss;
  const answer = await post(handled, path, "", {
    headers: { "content-encoding": "zstd" },
    body: new Uint8Array(bomb),
  });
  expect([answer.status, process.memoryUsage().rss - before < 150_000_000]).toEqual([413, true]);
});

/** Numbers of both kinds of request with the least and most that they may be. */
const NUMBERS: Readonly<Record<string, readonly [number, number]>> = {
  n: [1, 128],
  temperature: [0, 2],
  top_p: [0, 1],
  min_p: [0, 1],
  top_k: [-1, Number.MAX_SAFE_INTEGER],
  max_tokens: [1, Number.MAX_SAFE_INTEGER],
  min_tokens: [0, Number.MAX_SAFE_INTEGER],
  presence_penalty: [-2, 2],
  frequency_penalty: [-2, 2],
  top_logprobs: [0, 20],
};

/** The fields that were not refused with a 400 that names them. */
async function accepted(url: string, bodies: readonly (readonly [field: string, body: string])[]) {
  const found: string[] = [];
  for (const [field, body] of bodies) {
    const answer = await post(handled, url, body);
    const text = await answer.text();
    if (answer.status !== 400 || !text.includes(field))
      found.push(`${field}: ${answer.status} for ${body.slice(-40)}`);
  }
  return found;
}

test("T22: every number is bounded: what is below, above, endless or no number is a 400 that names it", async () => {
  const literals = ["1e308", "-1e308", "NaN", "Infinity", "1e999", '"1"', "[1]", "{}", "true"];
  const bodies = Object.entries(NUMBERS).flatMap(([field, [least, most]]) =>
    [String(least - 1), String(most + 1), ...literals].map((literal) => {
      const more = field === "top_logprobs" ? { logprobs: true } : {};
      return [
        /^[NI]/.test(literal) ? "" : field,
        JSON.stringify({ ...hello, ...more, [field]: 0 }).replace(/:0}$/, `:${literal}}`),
      ] as const;
    }),
  );
  expect(await accepted(path, bodies)).toEqual([]);
});

test("T22: lists of what each token is compared with are bounded", async () => {
  const lists = {
    stop: Array(129).fill("x"),
    stop_token_ids: Array(1025).fill(1),
    logit_bias: Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [at, 0])),
    best_of: 1000,
  };
  const bodies = Object.entries(lists).map(
    ([field, value]) => [field, JSON.stringify({ model: "m", prompt: "x", [field]: value })] as const,
  );
  expect(await accepted("/v1/completions", bodies)).toEqual([]);
});
