import { expect, test } from "bun:test";
import { encode as pack } from "@msgpack/msgpack";
import fc from "fast-check";
import { decode, type Envelope, encode } from "./codec.ts";
import type { Address, RequestId } from "./ids.ts";
import { ProtocolError } from "./message.ts";
import { GenerationReply, ShardWorker } from "./shard-worker.ts";

const worker = "worker-1/shard-worker" as Address;
const gateway = "node/api-gateway" as Address;
const generate: Envelope = {
  to: worker,
  from: gateway,
  id: 7,
  message: ShardWorker.Generate({
    replyTo: gateway,
    generation: {
      id: "r1" as RequestId,
      model: "smollm2",
      prompt: { type: "messages", messages: [{ role: "user", content: "Grüße, 世界 👋" }] },
      sampling: { temperature: 0, seed: 3, logitBias: { "11": -100 } },
      maxTokens: 8,
      stop: ["\n\n"],
    },
  }),
};

const problemOf = (bytes: Uint8Array): string => {
  try {
    decode(bytes);
    return "accepted";
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return error.message;
  }
};

test("an envelope survives its bytes", () => {
  expect(decode(encode(generate))).toEqual(generate);
});

test("the bytes of protocol version 1 do not change", () => {
  const delta = GenerationReply.Delta({
    request: "r1" as RequestId,
    delta: { type: "text", text: "é", tokens: [1, 300] },
  });
  expect(encode({ to: gateway, from: worker, message: delta }).toHex()).toMatchInlineSnapshot(
    `"9601b06e6f64652f6170692d67617465776179b5776f726b65722d312f73686172642d776f726b6572000083a474797065b547656e65726174696f6e5265706c792e44656c7461a772657175657374a27231a564656c746183a474797065a474657874a474657874a2c3a9a6746f6b656e739201cd012c"`,
  );
});

test("unknown fields pass, unknown messages and wrong types are refused by name", () => {
  const frame = (message: object) => pack([1, worker, gateway, 0, 0, message]);
  expect({
    extra: problemOf(frame({ type: "ShardWorker.Unload", later: 1 })),
    unknown: problemOf(frame({ type: "ShardWorker.Explode" })),
    wrong: problemOf(frame({ type: "ShardWorker.Cancel", request: 5 })),
    version: problemOf(pack([2, worker, gateway, 0, 0, { type: "ShardWorker.Unload" }])),
    short: problemOf(pack([1, worker])),
  }).toEqual({
    extra: "accepted",
    unknown: "unknown message ShardWorker.Explode",
    wrong: "ShardWorker.Cancel/request: Expected string",
    version: "protocol version 2 is not 1",
    short: "a frame must be an array of six",
  });
});

test("a frame nested too deep is refused before it is built", () => {
  const deep = new Uint8Array(100_000).fill(0x91);
  expect(problemOf(deep)).toBe("nested deeper than 32");
});

test("no bytes make the decoder do anything but accept or refuse", () => {
  const valid = encode(generate);
  const mutated = fc
    .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    .map((edits) => {
      const bytes = valid.slice();
      for (const [at, byte] of edits) bytes[at] = byte;
      return bytes;
    });
  fc.assert(
    fc.property(
      fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })),
      (bytes) => typeof problemOf(bytes) === "string",
    ),
    { numRuns: 10_000 },
  );
});
