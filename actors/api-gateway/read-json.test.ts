import { expect, test } from "bun:test";
import { brotliCompressSync, deflateRawSync, deflateSync } from "node:zlib";
import { checkCarryable } from "./json-shape.ts";
import { app, createGateway } from "./serve.ts";
import { post, refusal } from "./test/ask.ts";
import { fakePorts } from "./test/fake-ports.ts";

const path = "/v1/chat/completions";
const hello = { model: "smollm2", messages: [{ role: "user", content: "Hi" }] };

const handled = () => app(fakePorts(), { host: "127.0.0.1", bodyBytesMax: 1_000_000 });

test("a body is read in any encoding and with any content type, up to the limit", async () => {
  const raw = Buffer.from(JSON.stringify(hello));
  const zeros = Buffer.alloc(5_000_000);
  const send = async (encoding: string, body: Uint8Array) => {
    const headers = { "content-encoding": encoding, "content-type": "application/x-www-form-urlencoded" };
    const request = new Request(`http://localhost${path}`, {
      method: "POST",
      headers,
      body: new Uint8Array(body),
    });
    return (await handled().handle(request)).status;
  };
  expect([
    await send("identity", raw),
    await send("gzip", Bun.gzipSync(new Uint8Array(raw))),
    await send("deflate", deflateSync(raw)),
    await send("deflate", deflateRawSync(raw)),
    await send("br", brotliCompressSync(raw)),
    await send("zstd", Bun.zstdCompressSync(raw)),
    await send("gzip, br", brotliCompressSync(Bun.gzipSync(new Uint8Array(raw)))),
    await send("gzip", raw),
    await send("lzma", raw),
    await send("gzip", Bun.gzipSync(zeros)),
    await send("zstd", Bun.zstdCompressSync(zeros)),
    await send("br", brotliCompressSync(zeros)),
    await send("identity", zeros),
  ]).toEqual([200, 200, 200, 200, 200, 200, 200, 400, 415, 413, 413, 413, 413]);
});

test("a body of unknown length is cut off at the limit", async () => {
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(32)),
  });
  const gateway = createGateway(fakePorts(), { host: "127.0.0.1", port: 0, bodyBytesMax: 1_000_000 });
  const response = await fetch(gateway.url + path, { method: "POST", body: endless });
  expect(await refusal(response)).toBe(
    "413 invalid_request_error request_too_large null: the body is larger than the limit of 1000000 bytes",
  );
  await gateway.stop();
});

test("names and numbers that no message to another process can carry are refused, however deep and however written", async () => {
  const refused = (given: string) =>
    post(handled(), path, `{"model":"m","messages":[],"chat_template_kwargs":${given}}`).then(refusal);
  const refusedAs = (param: string, why: string) =>
    `400 invalid_request_error invalid_value ${param}: \`${param}\` ${why}`;
  expect([
    await refused('{"__proto__":1}'),
    await refused('[{"a":{"\\u005f_proto__":null}}]'),
    await refused('{"a":[1,-1e999]}'),
    await refused("9".repeat(400)),
  ]).toEqual([
    refusedAs("chat_template_kwargs.__proto__", "is no name for a field"),
    refusedAs("chat_template_kwargs[0].a.__proto__", "is no name for a field"),
    refusedAs("chat_template_kwargs.a[1]", "is beyond the largest number, 1.7976931348623157e+308"),
    refusedAs("chat_template_kwargs", "is beyond the largest number, 1.7976931348623157e+308"),
  ]);
});

test("looking through a long list of token ids costs little beside reading it", () => {
  const text = JSON.stringify({ prompt: Array.from({ length: 2_000_000 }, (_, i) => i % 50_000) });
  const tries = Array.from({ length: 3 }, () => {
    const startedAt = performance.now();
    const json: unknown = JSON.parse(text);
    const readAt = performance.now();
    checkCarryable(json);
    return (performance.now() - readAt) / (readAt - startedAt);
  });
  // A pair and a text made of each id took more than twenty times as long as the reading.
  expect(Math.min(...tries)).toBeLessThan(5);
});
