import { afterAll, beforeAll, expect, test } from "bun:test";
import { app, createGateway, type Gateway, routesOf } from "./serve.ts";
import { fakePorts } from "./test/fake-ports.ts";
import { send } from "./test/raw.ts";

const ORIGINS = ["https://chat.example", "https://lan.example:*"];
const stopped: unknown[] = [];
let gateway: Gateway;
let open: Gateway;

beforeAll(() => {
  const ports = fakePorts(undefined, { stop: async (model) => void stopped.push(model) });
  gateway = createGateway(ports, { host: "127.0.0.1", port: 0, origins: ORIGINS, hosts: ["exo.example"] });
  const addresses = () => ["192.0.2.7", "2001:db8::7", "127.0.0.1"];
  open = createGateway(ports, { host: "0.0.0.0", port: 0, apiKey: "k", addresses });
});
afterAll(() => Promise.all([gateway.stop(), open.stop()]));

const hostStatus = async ({ port }: Gateway, host: string, key = "") =>
  (await send(port, `GET /v1/models HTTP/1.1\r\nHost: ${host}\r\n${key}\r\n`)).status;

/** Names that are not this machine's, however much they look like it; `P` is the right port. */
const FOREIGN = [
  ..."evil.example localhost.evil.example evil-localhost localhost.localhost foo.localhost localhost.local evil.local local".split(
    " ",
  ),
  ..."127.0.0.1.evil.example 127.0.0.1.nip.io 127.0.0.1x 127.1 127.0.1 127.0.0.2 127.0.0.01 127.0.0.1. 0127.0.0.1".split(
    " ",
  ),
  ..."2130706433 0x7f000001 0x7f.0.0.1 017700000001 0177.0.0.1 0 0.0.0.0 1.1.1.1 255.255.255.255 10.0.0.1".split(
    " ",
  ),
  ..."localhost. LOCALHOST. studio. studio.local. studio.lan studio.evil.example xstudio studiox studio.local.evil".split(
    " ",
  ),
  ..."[::] [::2] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::1%25lo] [::1 ::1 [::1]x x[::1] [fe80::1] [[::1]]".split(
    " ",
  ),
  ..."localhost@evil.example evil@localhost user:pass@localhost localhost/ localhost/x localhost/public?".split(
    " ",
  ),
  ..."localhost?x localhost#x localhost\\x localhost%00 localhost%2eevil local%68ost localhost;x localhost&x".split(
    " ",
  ),
  ..."http://localhost //localhost localhost,evil.example evil.example,localhost localhost+ -localhost localhost-".split(
    " ",
  ),
  ..."*.localhost * _ ~ localhost:: localhost:P: :P localhost:+P localhost:0P0 localhost:P/ localhost:P@x".split(
    " ",
  ),
  "\uff4cocalhost",
  "\uff11\uff12\uff17.0.0.1",
  "l\u00f6calhost",
  "localhost\u3002",
  "xn--lcalhost-n4a",
  "local\thost",
];

test("T10: only the exact names of this machine are answered to, of two hundred that come near", async () => {
  const misspelt = [..."localhost"].map((_, at) => `${"localhost".slice(0, at)}${"localhost".slice(at + 1)}`);
  const withPorts = [...FOREIGN, ...misspelt].flatMap((name) => [name, `${name}:P`, `${name}:80`]);
  const names = [
    ...withPorts,
    "localhost",
    "localhost:1",
    "localhost:65536",
    "127.0.0.1:80",
    "exo.example.",
    "",
    "studio:1",
  ];
  const port = String(gateway.port);
  const answers = await Promise.all(
    names.map(async (name) => [name, await hostStatus(gateway, name.replaceAll("P", port))] as const),
  );
  const passed = answers.filter(([, status]) => status !== 403 && status !== 400).map(([name]) => name);
  const known = [
    "localhost:P",
    "LocalHost:P",
    "127.0.0.1:P",
    "[::1]:P",
    "STUDIO:P",
    "studio.local:P",
    "exo.example",
    "exo.example:8443",
  ];
  const statuses = await Promise.all(known.map((name) => hostStatus(gateway, name.replace("P", port))));
  expect({ passed, enough: names.length >= 200, statuses }).toEqual({
    passed: [],
    enough: true,
    statuses: known.map(() => 200),
  });
});

test("T10: two Host headers, none at all, or an address in the request line get past nothing", async () => {
  const own = `Host: localhost:${gateway.port}\r\n`;
  const statuses = async (...lines: string[]) =>
    await Promise.all(lines.map(async (line) => (await send(gateway.port, line)).status));
  expect(
    await statuses(
      `GET /v1/models HTTP/1.1\r\n${own}Host: evil.example\r\n\r\n`,
      `GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n${own}\r\n`,
      "GET /v1/models HTTP/1.1\r\n\r\n",
      `GET /v1/models HTTP/1.1\r\nHost : localhost\r\n\r\n`,
    ),
  ).toEqual([403, 403, 400, 400]);
});

test("T10: the check is on in every mode; in the network this machine's addresses pass too, the wildcard does not", async () => {
  const key = "Authorization: Bearer k\r\n";
  const names = [
    "192.0.2.7:P",
    "[2001:db8::7]:P",
    "localhost:P",
    "evil.example:P",
    "192.0.2.8:P",
    "192.0.2.7:1",
    "0.0.0.0:P",
    "[::]:P",
  ];
  const statuses = names.map((name) => hostStatus(open, name.replace("P", String(open.port)), key));
  expect(await Promise.all(statuses)).toEqual([200, 200, 200, 403, 403, 403, 403, 403]);
});

/** A browser's request from a page of `origin`, over a socket. */
async function browser(method: string, path: string, headers: Record<string, string>, body = "") {
  const fields = Object.entries({
    host: `localhost:${gateway.port}`,
    ...headers,
    "content-length": String(body.length),
  });
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return await send(gateway.port, `${method} ${path} HTTP/1.1\r\n${head}\r\n${body}`);
}

const json = { "content-type": "application/json" };

test("T11: a page of another site reaches nothing, by fetch, form, image, event source or preflight", async () => {
  stopped.length = 0;
  const stop = (headers: Record<string, string>) =>
    browser("POST", "/exo/v1/stop", headers, '{"model":"all"}').then(({ status }) => status);
  const get = (headers: Record<string, string>, path = "/v1/models", method = "GET") =>
    browser(method, path, headers).then(({ status }) => status);
  const evil = [
    "https://evil.example",
    "http://localhost:3000",
    "http://localhost.evil.example",
    "null",
    "https://chat.example.evil",
  ];
  const refused = [
    ...evil.map((origin) => stop({ origin, ...json })),
    ...evil.map((origin) => get({ origin })),
    ...evil.map((origin) => get({ origin }, "/v1/chat/completions", "OPTIONS")),
    stop({ "sec-fetch-site": "cross-site", ...json }),
    stop({ "sec-fetch-site": "same-site", ...json }),
    get({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" }),
    get({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }),
    get({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" }, "/"),
    get({ origin: "https://evil.example", upgrade: "websocket", connection: "upgrade" }),
  ];
  const forms = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "",
  ].map((type) => stop({ origin: "https://chat.example", "content-type": type }));
  expect({
    refused: new Set(await Promise.all(refused)),
    forms: await Promise.all(forms),
    stopped,
  }).toEqual({ refused: new Set([403]), forms: [415, 415, 415, 415], stopped: [] });
});

test("T11: the server's own page, a page that was named, a link from anywhere and programs pass", async () => {
  const own = `http://localhost:${gateway.port}`;
  const body = '{"model":"all"}';
  const statuses = [
    browser("POST", "/exo/v1/stop", { origin: own, "sec-fetch-site": "same-origin", ...json }, body),
    browser(
      "POST",
      "/exo/v1/stop",
      { origin: "https://chat.example", "sec-fetch-site": "cross-site", ...json },
      body,
    ),
    browser("POST", "/exo/v1/stop", { origin: "https://lan.example:81", ...json }, body),
    browser("GET", "/", {
      "sec-fetch-site": "cross-site",
      "sec-fetch-mode": "navigate",
      "sec-fetch-dest": "document",
    }),
    browser("GET", "/v1/models", { "sec-fetch-site": "none", "sec-fetch-mode": "navigate" }),
    browser("POST", "/exo/v1/stop", { "content-type": "application/x-www-form-urlencoded" }, body),
  ];
  expect((await Promise.all(statuses)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
});

const paths = (): readonly (readonly [string, string])[] => [
  ...routesOf(fakePorts()).map(({ method, path }) => [method, path.replace("*", "smollm2")] as const),
  ["POST", "/v1/chat/completions"],
  ["POST", "/v1/completions"],
  ["GET", "/nowhere"],
  ["OPTIONS", "/v1/models"],
];

test("T12: no address lets any page read its answer but those of named origins, and no wildcard is ever sent", async () => {
  const handled = app(fakePorts(), { host: "127.0.0.1", origins: ORIGINS });
  const corsOf = async (origin: string | undefined) => {
    const found = new Set<string>();
    for (const [method, path] of paths()) {
      const headers = { "access-control-request-headers": "x-stainless-os", ...(origin && { origin }) };
      const body = method === "POST" ? "{}" : null;
      const answer = await handled.handle(new Request(`http://localhost${path}`, { method, headers, body }));
      await answer.body?.cancel();
      for (const [name, value] of answer.headers)
        if (name.startsWith("access-control-") && /origin|credentials/.test(name))
          found.add(`${name}: ${value}`);
    }
    return [...found];
  };
  expect([
    await corsOf(undefined),
    await corsOf("https://evil.example"),
    await corsOf("https://chat.example"),
  ]).toEqual([[], [], ["access-control-allow-origin: https://chat.example"]]);
});

test("T13: every answer forbids frames, foreign scripts and guesses at its type, and sets no cookie", async () => {
  const handled = app(fakePorts(), { host: "127.0.0.1" });
  const told = new Set<string>();
  for (const [method, path] of paths()) {
    const body = method === "POST" ? "{}" : null;
    const { headers, body: sent } = await handled.handle(
      new Request(`http://localhost${path}`, { method, body }),
    );
    await sent?.cancel();
    const names = [
      "content-security-policy",
      "x-frame-options",
      "x-content-type-options",
      "referrer-policy",
      "set-cookie",
    ];
    told.add(names.map((name) => headers.get(name)).join(" | "));
  }
  expect([...told]).toEqual(["default-src 'none'; frame-ancestors 'none' | DENY | nosniff | no-referrer | "]);
});
