/** What a hostile or broken client may send to the real server: it is refused in the dialect's words, and the server lives. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { freshFolder } from "../cli/exo.ts";
import { childrenOf, type Server, serving, TEST_MS_MAX } from "./product.ts";

setDefaultTimeout(TEST_MS_MAX);

const stack = new AsyncDisposableStack();
let server: Server;

beforeAll(async () => {
  const home = stack.use(freshFolder());
  server = stack.use(await serving(home.path, ["--model", "smollm2"]));
});
afterAll(() => stack.disposeAsync());

const CHAT = "/v1/chat/completions";
const COMPLETIONS = "/v1/completions";
const messages = [{ role: "user", content: "hi" }];

const chat = (fields: object) => [CHAT, JSON.stringify({ model: "smollm2", messages, ...fields })] as const;
const completion = (fields: object) =>
  [COMPLETIONS, JSON.stringify({ model: "smollm2", prompt: "hi", ...fields })] as const;

const malformed: readonly (readonly [string, string | Uint8Array<ArrayBuffer>])[] = [
  [CHAT, ""],
  [CHAT, "{"],
  [CHAT, "null"],
  [CHAT, "[]"],
  [CHAT, '"text"'],
  [CHAT, new Uint8Array([0xff, 0xfe, 0x00, 0x7b])],
  [CHAT, `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`],
  [CHAT, "{}"],
  [CHAT, '{"model":"smollm2"}'],
  chat({ messages: [] }),
  chat({ messages: [1] }),
  chat({ messages: [{ role: "robot", content: "x" }] }),
  chat({ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:," } }] }] }),
  chat({ temperature: 3 }),
  chat({ temperature: "hot" }),
  chat({ top_p: 2 }),
  chat({ n: 0 }),
  chat({ n: 1000 }),
  chat({ max_tokens: -1 }),
  chat({ seed: 1.5 }),
  chat({ stop: 5 }),
  chat({ stream: "yes" }),
  chat({ top_logprobs: 2 }),
  chat({ logit_bias: { word: 1 } }),
  chat({ logit_bias: { 99999: 1 }, max_tokens: 1 }),
  completion({ prompt: [] }),
  completion({ prompt: [[]] }),
  completion({ prompt: "" }),
  completion({ prompt: [-1] }),
  completion({ prompt: [49_152] }),
  completion({ prompt: ["text", [1]] }),
  completion({ prompt: { text: "x" } }),
  completion({ max_tokens: 0 }),
  completion({ min_tokens: 5, max_tokens: 2 }),
  completion({ logprobs: 21 }),
  completion({ suffix: "end" }),
];

const named = malformed.map(([path, body]) => [path, String(body).slice(0, 90), body] as const);

test.each(named)("POST %s %s is refused with 400 and OpenAI's four keys", async (path, _, body) => {
  const answer = await fetch(`${server.url}${path}`, { method: "POST", body });
  const { error } = JSON.parse(await answer.text());
  expect([answer.status, Object.keys(error).toSorted(), error.type, error.message.length > 10]).toEqual([
    400,
    ["code", "message", "param", "type"],
    "invalid_request_error",
    true,
  ]);
});

test("bytes that are no HTTP, and requests cut short, do not end the server", async () => {
  const { hostname, port } = new URL(server.url);
  const [worker] = childrenOf(server.pid);
  const sent = [
    "nonsense\r\n\r\n",
    "GET / HTTP/9.9\r\n\r\n",
    `POST ${CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n{`,
    `POST ${CHAT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
    "\0".repeat(10_000),
  ];
  for (const bytes of sent) {
    const socket = await Bun.connect({ hostname, port: Number(port), socket: { data() {} } });
    socket.write(bytes);
    socket.flush();
    socket.end();
  }
  const health = await fetch(`${server.url}/healthz`);
  expect([health.status, childrenOf(server.pid)]).toEqual([200, [worker ?? 0]]);
});

test("twenty requests at once are all answered, each with its own answer", async () => {
  const ask = async (at: number): Promise<unknown> => {
    const body = { model: "smollm2", prompt: at % 2 ? "2 + 2 =" : "The capital of France is", max_tokens: 2 };
    const answer = await fetch(`${server.url}${COMPLETIONS}`, {
      method: "POST",
      body: JSON.stringify({ ...body, temperature: 0 }),
    });
    return [answer.status, JSON.parse(await answer.text()).choices?.[0]?.text];
  };
  const wanted = [await ask(0), await ask(1)];
  const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => ask(at)));
  expect([wanted[0], answers]).toEqual([
    [200, " Paris."],
    Array.from({ length: 20 }, (_, at) => wanted[at % 2]),
  ]);
});

test("after all of that the same worker answers", async () => {
  const asked = { model: "smollm2", messages: [{ role: "user", content: "What is the capital of France?" }] };
  const answer = await fetch(`${server.url}${CHAT}`, {
    method: "POST",
    body: JSON.stringify({ ...asked, temperature: 0 }),
  });
  const { choices } = JSON.parse(await answer.text());
  expect([choices[0].message.content, (await server.held()).length, childrenOf(server.pid).length]).toEqual([
    "The capital of France is Paris.",
    1,
    1,
  ]);
});
