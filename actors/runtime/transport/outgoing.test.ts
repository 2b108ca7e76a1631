import { expect, test } from "bun:test";
import { decode } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import { Supervisor } from "#protocol/supervisor";
import { FrameKind, FrameReader, uint32 } from "./framing.ts";
import { Outgoing } from "./outgoing.ts";

const SIZES = [0, 1, 1000, 70_000, 128 * 1024, 400_000];
const [to, from] = ["b/there" as Address, "a/here" as Address];
const asked = (id: number) => ({ to, from, id, message: Supervisor.Stop({ model: "m".repeat(32) }) });

/** A socket that takes what `takes` says, in turn, and keeps it. */
function socket(takes: readonly number[]) {
  let calls = 0;
  const taken: Uint8Array[] = [];
  const write = (bytes: Uint8Array, at: number, length: number) => {
    const count = Math.min(length, takes[calls++ % takes.length] ?? 0);
    taken.push(bytes.slice(at, at + count));
    return count;
  };
  return { taken, stream: { write, end() {}, pause() {}, resume() {} } };
}

/** What a reader makes of it: ids of envelopes, and lengths of bodies with whether each byte is theirs. */
function read(chunks: readonly Uint8Array[]): readonly unknown[] {
  const seen: unknown[] = [];
  const reader = new FrameReader(1 << 20, (kind, bytes, start, end) => {
    if (kind === FrameKind.envelope) seen.push(decode(bytes, start, end).id);
    else {
      const body = start + 4 + uint32(bytes, start);
      const { id = 0 } = decode(bytes, start + 4, body);
      seen.push([id, end - body, bytes.subarray(body, end).every((byte) => byte === id % 256)]);
    }
  });
  for (const chunk of chunks) reader.push(chunk);
  return seen;
}

test.each([
  ["all of it", [Number.POSITIVE_INFINITY]],
  ["little at a time", [1, 7, 900, 30_000, 0]],
  ["all, then nothing for a while", [Number.POSITIVE_INFINITY, 0, 0, 100_000]],
])("frames and bodies arrive whole and in order through a socket that takes %s", async (_, takes) => {
  const { taken, stream } = socket(takes);
  const outgoing = new Outgoing(stream, () => {});
  const expected: unknown[] = [];
  let id = 0;
  for (const size of [...SIZES, ...SIZES.toReversed()]) {
    for (const isGiven of [false, true]) {
      id += 2;
      const body = new Uint8Array(size).fill((id + 1) % 256);
      outgoing.add(asked(id));
      outgoing.addBody(asked(id + 1), body, isGiven, 1 << 20);
      if (!isGiven) body.fill(0);
      expected.push(id, [id + 1, size, true]);
    }
    if (id % 8 === 0) await Promise.resolve();
    if (id % 12 === 0) outgoing.drained();
  }
  for (let i = 0; outgoing.waitingBytes > 0 && i < 1_000_000; i++) outgoing.drained();
  expect({ waits: outgoing.waitingBytes, frames: read(taken) }).toEqual({ waits: 0, frames: expected });
});

test("a stream that is blocked again and again writes from the same few buffers", () => {
  const seen = new Set<ArrayBufferLike>();
  let isOpen = false;
  const write = (bytes: Uint8Array, _: number, length: number) => {
    seen.add(bytes.buffer);
    return isOpen ? length : 0;
  };
  const outgoing = new Outgoing({ write, end() {}, pause() {}, resume() {} }, () => {});
  const body = new Uint8Array(64 * 1024);
  for (let round = 0; round < 100; round++) {
    isOpen = false;
    for (let i = 0; i < 3; i++) outgoing.addBody(asked(round), body, true, 1 << 20);
    isOpen = true;
    outgoing.drained();
  }
  expect({ waiting: outgoing.waitingBytes, isFew: seen.size <= 8 }).toEqual({ waiting: 0, isFew: true });
});

test("a body over the limit is refused and leaves nothing of itself", async () => {
  const { taken, stream } = socket([Number.POSITIVE_INFINITY]);
  const outgoing = new Outgoing(stream, () => {});
  outgoing.add(asked(1));
  expect(() => outgoing.addBody(asked(2), new Uint8Array(2000), true, 1000)).toThrow("over the limit");
  outgoing.add(asked(3));
  await Promise.resolve();
  expect(read(taken)).toEqual([1, 3]);
});
