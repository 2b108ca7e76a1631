import { afterEach, expect, test } from "bun:test";
import { type ApiKey, apiKeyText, SCOPES, type Scope } from "#protocol/api-key";
import { Problem } from "#protocol/problem";
import { auth } from "./auth.ts";
import { app, createGateway, type Gateway, type GatewayOptions, routesOf } from "./serve.ts";
import { fakePorts } from "./test/fake-ports.ts";
import { connect } from "./test/raw.ts";

const opened: Gateway[] = [];
afterEach(() => Promise.all(opened.splice(0).map((gateway) => gateway.stop())));

/** A key of those scopes, and its text. */
function keyOf(id: string, ...scopes: readonly Scope[]): { readonly key: ApiKey; readonly text: string } {
  const text = apiKeyText(id, new Uint8Array(32).fill(id.charCodeAt(0)));
  const hash = new Bun.CryptoHasher("sha256").update(text).digest("hex");
  return { key: { id, name: id, hash, scopes: [...scopes], createdAt: 0 }, text };
}

const bookOf = (...keys: readonly { readonly key: ApiKey }[]) => {
  const held = new Map(keys.map(({ key }) => [key.id, key]));
  return { find: (id: string) => held.get(id), revoke: (id: string) => held.delete(id) };
};

const [chat, wide] = [keyOf("aaaaaaaa", "infer"), keyOf("bbbbbbbb", ...SCOPES)];
/** A stranger's address (RFC 5737) and a second one. */
const [NEAR, FAR] = ["192.0.2.9", "192.0.2.10"];

/** An app in the network, its clock in the test's hand, asked from `address`. */
function networked(changes: Partial<GatewayOptions> = {}, ports = fakePorts()) {
  const time = { nowMs: 0 };
  const handled = app(
    { ...ports, nowMs: () => time.nowMs },
    { host: "0.0.0.0", keys: bookOf(chat, wide), ...changes },
  );
  const ask = (
    path: string,
    headers: Record<string, string> = {},
    method = "GET",
    address = NEAR,
    sent = {},
  ) => {
    const body = method === "POST" ? JSON.stringify(sent) : null;
    const request = new Request(`http://localhost${path}`, { method, headers, body });
    return handled.handle(request, { address, idle() {} });
  };
  return { ask, time };
}

const bearer = (text: string) => ({ authorization: `Bearer ${text}` });

test("T16: every address asks for its scope, and a key without it is refused", async () => {
  const keys = SCOPES.map((scope, at) => keyOf(`${"abcdef"[at]}2222222`, scope));
  const { ask } = networked({ keys: bookOf(...keys) });
  const routes = [
    ...routesOf(fakePorts()).map(({ method, path }) => [method, path] as const),
    ["POST", "/v1/chat/completions"] as const,
    ["POST", "/v1/completions"] as const,
  ];
  const table: string[] = [];
  for (const [method, path] of routes) {
    const statuses: number[] = [];
    for (const headers of [{}, ...keys.map(({ text }) => bearer(text))]) {
      const answer = await ask(path.replace("*", "smollm2"), headers, method);
      statuses.push(answer.status);
      await answer.body?.cancel();
    }
    const [without, ...scoped] = statuses.map((status) => status !== 401 && status !== 403);
    const may = without ? ["everybody"] : SCOPES.filter((_, at) => scoped[at]);
    table.push(`${method} ${path}: ${may.length === SCOPES.length ? "any key" : may.join(" ")}`);
  }
  expect(table.sort().join("\n")).toMatchInlineSnapshot(`
    "GET /: everybody
    GET /exo/v1/cluster: cluster.read
    GET /exo/v1/debug/trace: cluster.admin
    GET /exo/v1/events: cluster.read
    GET /exo/v1/links: cluster.read
    GET /exo/v1/nodes: cluster.read
    GET /exo/v1/ps: models.read
    GET /exo/v1/state: cluster.read
    GET /exo/v1/version: any key
    GET /health: everybody
    GET /healthz: everybody
    GET /state: cluster.read
    GET /v1/models/*: models.read
    GET /v1/models: models.read
    POST /exo/v1/checkpoint: models.write
    POST /exo/v1/cluster/rotate: cluster.admin
    POST /exo/v1/copies: models.write
    POST /exo/v1/invite/close: cluster.admin
    POST /exo/v1/invite/watch: cluster.admin
    POST /exo/v1/invite: cluster.admin
    POST /exo/v1/join: cluster.admin
    POST /exo/v1/links/measure: cluster.admin
    POST /exo/v1/load: models.write
    POST /exo/v1/nodes/*: cluster.admin
    POST /exo/v1/rebalance: models.write
    POST /exo/v1/speeds/measure: cluster.admin
    POST /exo/v1/stop: models.write
    POST /v1/chat/completions: infer
    POST /v1/completions: infer"
  `);
});

test("T16: a route that does not say who may ask does not start", () => {
  const { access: _, ...silent } = routesOf(fakePorts())[0] ?? {};
  const ports = fakePorts();
  expect(() => app(ports, { host: "127.0.0.1" }, undefined, [silent as never])).toThrow(
    "GET /healthz does not say who may ask",
  );
});

test("keys are taken as OpenAI's, Anthropic's and Ollama's clients send them, and refusals come in their words", async () => {
  const { ask } = networked();
  const told = async (path: string, headers: Record<string, string>, method = "GET") => {
    const answer = await ask(path, headers, method);
    return [answer.status, (await answer.text()).replace(/id\d+/, "ID")];
  };
  expect([
    (await ask("/v1/models", bearer(wide.text))).status,
    (await ask("/v1/models", { "x-api-key": wide.text })).status,
    await told("/v1/models", {}),
    await told("/v1/models", bearer(chat.text)),
    await told("/v1/messages", { "x-api-key": "wrong" }, "POST"),
    await told("/api/chat", bearer("wrong"), "POST"),
    (await ask("/v1/models", { ...bearer(wide.text), host: "evil.example" })).status,
  ]).toMatchInlineSnapshot(`
    [
      200,
      200,
      [
        401,
        "{"error":{"message":"an API key is needed; send it as \`Authorization: Bearer KEY\` or \`x-api-key: KEY\`; \`exo key create\` makes one","type":"authentication_error","param":null,"code":"invalid_api_key"}}",
      ],
      [
        403,
        "{"error":{"message":"the key \\"aaaaaaaa\\" is not good for this: it lacks models.read; make one that is: exo key create --scope models.read","type":"permission_error","param":null,"code":"forbidden"}}",
      ],
      [
        401,
        "{"type":"error","error":{"type":"authentication_error","message":"the API key is wrong; send it as \`Authorization: Bearer KEY\` or \`x-api-key: KEY\`; \`exo key create\` makes one"},"request_id":"ID"}",
      ],
      [
        401,
        "{"error":"the API key is wrong; send it as \`Authorization: Bearer KEY\` or \`x-api-key: KEY\`; \`exo key create\` makes one"}",
      ],
      403,
    ]
  `);
});

test("who may ask nothing is not told what there is, nor why the keys cannot be read", async () => {
  const { ask } = networked();
  const closed = networked({
    keys: {
      find: () => {
        throw new Problem("forbidden", "/home/x/keys can be read by others");
      },
    },
  });
  const shut = await closed.ask("/v1/models", bearer(chat.text));
  expect([
    (await ask("/nowhere")).status,
    (await ask("/v1/models/none")).status,
    (await ask("/nowhere", bearer(chat.text))).status,
    [shut.status, (await shut.text()).includes("/home")],
  ]).toEqual([401, 401, 404, [503, false]]);
});

test("programs of this machine need no key, unless they speak for others, one key was set, or all shall show one", async () => {
  const status = async (options: Partial<GatewayOptions>, headers: Record<string, string>, address: string) =>
    (await networked(options).ask("/v1/models", headers, "GET", address)).status;
  expect([
    await status({}, {}, "127.0.0.1"),
    await status({}, {}, "::ffff:127.0.0.1"),
    await status({}, {}, NEAR),
    await status({}, { "x-forwarded-for": "198.51.100.1" }, "127.0.0.1"),
    await status({ host: "localhost" }, { via: "1.1 proxy" }, "127.0.0.1"),
    await status({ host: "localhost", requireKey: true }, {}, "127.0.0.1"),
    await status({ host: "localhost", apiKey: "k" }, {}, "127.0.0.1"),
    await status({ host: "localhost", apiKey: "k" }, bearer("k"), "127.0.0.1"),
    await status({ host: "localhost" }, bearer("none"), "127.0.0.1"),
  ]).toEqual([200, 200, 401, 401, 401, 401, 401, 200, 200]);
});

test("T26: ten wrong keys within a minute, then that address waits, the others do not, and long keys still pass", async () => {
  const { ask, time } = networked({ apiKey: "guessable" });
  const wrong = async (address = NEAR) => (await ask("/v1/models", bearer("wrong"), "GET", address)).status;
  const ten = [];
  for (let i = 0; i < 10; i++) ten.push(await wrong());
  const blocked = await ask("/v1/models", bearer("guessable"));
  const seen = {
    ten: new Set(ten),
    blocked: [blocked.status, blocked.headers.get("retry-after")],
    missing: (await ask("/v1/models")).status,
    long: (await ask("/v1/models", bearer(wide.text))).status,
    other: await wrong(FAR),
  };
  time.nowMs = 59_999;
  const still = (await ask("/v1/models", bearer("guessable"))).status;
  time.nowMs = 60_000;
  expect({ ...seen, still, later: (await ask("/v1/models", bearer("guessable"))).status }).toEqual({
    ten: new Set([401]),
    blocked: [429, "60"],
    missing: 401,
    long: 200,
    other: 401,
    still: 429,
    later: 200,
  });
});

test("T26: a whole /64 of IPv6 counts as one client, and those remembered are bounded", async () => {
  const { ask } = networked({ apiKey: "guessable" });
  const from = async (address: string, key = "wrong") =>
    (await ask("/v1/models", bearer(key), "GET", address)).status;
  for (let i = 0; i < 10; i++) await from(`2001:db8:1:2::${i.toString(16)}`);
  const neighbours = [await from("2001:db8:1:2:ffff::1"), await from("2001:db8:1:3::1")];
  for (let i = 0; i < 5000; i++) await from(`10.0.${i >> 8}.${i & 255}`);
  expect([neighbours, await from("2001:db8:1:2::1", "guessable")]).toEqual([[429, 401], 200]);
});

test("T26: a wrong key takes no longer where its beginning is right", () => {
  const { admit } = auth({ host: "0.0.0.0", keys: bookOf(wide) }, () => 0);
  const near = wide.text.slice(0, -1) + (wide.text.endsWith("A") ? "B" : "A");
  const far = apiKeyText(wide.key.id, new Uint8Array(32));
  const [requests, spent] = [new Map<string, Request>(), new Map<string, number[]>()];
  for (const text of [near, far]) {
    requests.set(text, new Request("http://localhost/", { headers: bearer(text) }));
    spent.set(text, []);
  }
  const refused = (request: Request, client: string) => {
    try {
      admit(request, "any", client);
    } catch {
      return;
    }
    throw new Error("a wrong key was let in");
  };
  for (let round = 0; round < 50_000; round++) {
    for (const [text, request] of round % 2 ? [...requests] : [...requests].reverse()) {
      const start = performance.now();
      refused(request, `client ${round}`);
      spent.get(text)?.push(performance.now() - start);
    }
  }
  const [a = 0, b = 0] = [...spent.values()].map((times) => times.sort((x, y) => x - y)[times.length >> 1]);
  expect(Math.max(a, b) / Math.min(a, b)).toBeLessThan(1.5);
}, 600_000);

test("T17: what was said to a model is at no other address of the API", async () => {
  const marker = "marker-7f3a";
  const { ask } = networked({}, fakePorts([marker]));
  const messages = [{ role: "user", content: marker }];
  const said = await ask("/v1/chat/completions", bearer(wide.text), "POST", NEAR, { model: "m", messages });
  const told = (await said.text()).includes(marker);
  const seen: string[] = [];
  for (const { method, path } of routesOf(fakePorts())) {
    if (method !== "GET") continue;
    const answer = await ask(path.replace("*", "smollm2"), bearer(wide.text));
    const reader = answer.body?.getReader();
    const { value } = (await reader?.read()) ?? {};
    await reader?.cancel();
    if (new TextDecoder().decode(value).includes(marker)) seen.push(path);
  }
  expect({ told, seen }).toEqual({ told: true, seen: [] });
});

test("T34: a key that is revoked ends the streams it opened, within a second, and opens no more", async () => {
  const keys = bookOf(chat);
  const timers: { ms: number; run: () => void }[] = [];
  const ended = Promise.withResolvers<void>();
  const ports = fakePorts([], {
    async *generate(_, signal) {
      yield { type: "started", promptTokens: [1] };
      yield { type: "text", text: "Hel", tokens: [3] };
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      ended.resolve();
    },
    after: (ms, run) => {
      const timer = { ms, run };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
  });
  const gateway = createGateway(ports, { host: "127.0.0.1", port: 0, requireKey: true, keys });
  opened.push(gateway);
  const body = JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "Hi" }] });
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:${gateway.port}\r\nAuthorization: Bearer ${chat.text}\r\n`;
  const client = await connect(gateway.port);
  client.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
  await client.heard(/Hel/);
  keys.revoke(chat.key.id);
  const soon = timers.filter(({ ms }) => ms <= 1000);
  for (const { run } of soon) run();
  await ended.promise;
  await client.heard(/0\r\n\r\n$/);
  const again = await fetch(`${gateway.url}/v1/models`, { headers: bearer(chat.text) });
  expect(again.status).toBe(401);
});
