import { expect, test } from "bun:test";
import { app } from "./serve.ts";
import { fakePorts } from "./test/fake-ports.ts";

type Options = Parameters<typeof app>[1];

async function statusOf(
  headers: Record<string, string>,
  options: Partial<Options> = {},
  init: RequestInit = {},
) {
  const url = "http://localhost/v1/models";
  return (
    await app(fakePorts(), { host: "127.0.0.1", ...options }).handle(new Request(url, { headers, ...init }))
  ).status;
}

test("on loopback only names of this machine are answered to, so no other site's name can be pointed here", async () => {
  const hosts = [
    "localhost:52415",
    "127.0.0.1",
    "[::1]:80",
    "STUDIO",
    "studio.local",
    "evil.example",
    "127.0.0.1.evil.example",
    "",
  ];
  const statuses = await Promise.all(hosts.map((host) => statusOf({ host })));
  expect([statuses, await statusOf({ host: "evil.example" }, { host: "0.0.0.0" })]).toEqual([
    [200, 200, 200, 200, 200, 403, 403, 403],
    200,
  ]);
});

test("a page of another site can change nothing, one of this machine or named can", async () => {
  const gateway = app(fakePorts(), {
    host: "127.0.0.1",
    origins: ["https://chat.example", "https://lan.example:*"],
  });
  const answer = async (origin: string, method: string) => {
    const headers = { origin, "access-control-request-headers": "x-stainless-os" };
    const body = method === "POST" ? '{"model":"all"}' : null;
    const { status, headers: got } = await gateway.handle(
      new Request("http://localhost/exo/v1/stop", { method, headers, body }),
    );
    return [status, got.get("access-control-allow-origin"), got.get("access-control-allow-headers")];
  };
  const origins = [
    "http://localhost:3000",
    "https://chat.example",
    "https://lan.example:81",
    "http://localhost.evil.example",
    "https://evil.example",
    "null",
  ];
  const own = ["POST", "OPTIONS"];
  expect(await Promise.all(origins.flatMap((origin) => own.map((method) => answer(origin, method))))).toEqual(
    [
      [200, "http://localhost:3000", null],
      [204, "http://localhost:3000", "x-stainless-os"],
      [200, "https://chat.example", null],
      [204, "https://chat.example", "x-stainless-os"],
      [200, "https://lan.example:81", null],
      [204, "https://lan.example:81", "x-stainless-os"],
      [403, null, null],
      [204, null, null],
      [403, null, null],
      [204, null, null],
      [403, null, null],
      [204, null, null],
    ],
  );
});

test("a configured key is asked of all but health, the root and preflights", async () => {
  const key = { apiKey: "s3cret" };
  const open = app(fakePorts(), { host: "127.0.0.1", ...key });
  const openStatus = async (path: string, method = "GET") =>
    (await open.handle(new Request(`http://localhost${path}`, { method }))).status;
  expect([
    await statusOf({}, key),
    await statusOf({ authorization: "Bearer wrong" }, key),
    await statusOf({ authorization: "bearer s3cret" }, key),
    await statusOf({ "x-api-key": "s3cret" }, key),
    await openStatus("/healthz"),
    await openStatus("/"),
    await openStatus("/v1/models", "OPTIONS"),
  ]).toEqual([401, 401, 200, 200, 200, 200, 204]);
});
