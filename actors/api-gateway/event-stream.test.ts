import { expect, test } from "bun:test";
import type { Frame } from "./dialects/dialect.ts";
import { eventStream } from "./event-stream.ts";

/** A source of frames that the test feeds by hand. */
function source() {
  let give: ((frame: Frame | undefined) => void) | undefined;
  async function* frames(): AsyncGenerator<Frame> {
    for (;;) {
      const frame = await new Promise<Frame | undefined>((resolve) => (give = resolve));
      if (frame === undefined) return;
      yield frame;
    }
  }
  return { frames: frames(), next: (frame?: Frame) => give?.(frame) };
}

const decoder = new TextDecoder();
const never = { after: () => () => {}, cancelled: () => {} };

test("frames of one tick travel in one write", async () => {
  async function* frames() {
    yield { a: 1 };
    yield { b: 2 };
    yield "[DONE]";
  }
  const writes: string[] = [];
  for await (const bytes of eventStream(frames(), never)) writes.push(decoder.decode(bytes));
  expect(writes).toEqual(['data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n']);
});

test("a silent stream says that it lives every few seconds", async () => {
  const timers: { ms: number; run: () => void }[] = [];
  const { frames, next } = source();
  const after = (ms: number, run: () => void) => {
    timers.push({ ms, run });
    return () => {};
  };
  const reader = eventStream(frames, { after, cancelled: () => {} }).getReader();
  const read = async () => decoder.decode((await reader.read()).value);
  const heard: string[] = [];
  for (const act of [() => timers.at(-1)?.run(), () => timers.at(-1)?.run(), () => next({ a: 1 })]) {
    const reading = read();
    await Promise.resolve();
    act();
    heard.push(await reading);
  }
  expect([heard, timers.every(({ ms }) => ms <= 10_000)]).toEqual([
    [": keep-alive\n\n", ": keep-alive\n\n", 'data: {"a":1}\n\n'],
    true,
  ]);
});

test("a reader who does not read holds the model back, and one who leaves is told of", async () => {
  let made = 0;
  let left = false;
  async function* frames() {
    for (;;) {
      made += 1;
      yield "x".repeat(1024);
    }
  }
  const stream = eventStream(frames(), { after: () => () => {}, cancelled: () => (left = true) });
  const reader = stream.getReader();
  await reader.read();
  await new Promise((resolve) => setImmediate(resolve));
  const afterOneRead = made;
  await reader.cancel();
  expect([afterOneRead < 1024, left]).toEqual([true, true]);
});
