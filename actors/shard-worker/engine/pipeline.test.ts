/** What a group's last stage has all of them do to their sequences, and how much of that may wait for a pass. */
import { expect, test } from "bun:test";
import { Pass } from "#protocol/pass";
import { type PassOrder, Pipeline } from "./pipeline.ts";

function world() {
  const sent: PassOrder[] = [];
  const pipeline = new Pipeline({
    stages: 2,
    rowsMax: 512,
    window: undefined,
    send: (pass) => sent.push(pass),
    nbytesOf: () => 1,
    nowMs: () => 0,
  });
  const feed = (sequence: ReturnType<typeof pipeline.begin>, tokens: readonly number[]) =>
    pipeline.compute({ feeds: [{ sequence, tokens }], wanted: "hidden" }, () => {});
  const back = (number: number) =>
    pipeline.completed(number, { feeds: [], lost: [], values: new Float32Array() }, 0);
  return { pipeline, sent, feed, back };
}

const LONG = Array.from({ length: 5000 }, (_, i) => i);

test("a copy that is given up before it was fed is never spoken of", () => {
  const { pipeline, sent, feed } = world();
  const kept = pipeline.begin();
  feed(kept, LONG.slice(0, 20));
  for (let i = 0; i < 3000; i++) {
    const copy = kept.fork(18);
    copy.cut(17);
    copy.dispose();
  }
  feed(kept, [7]);
  expect(sent.map(({ ops }) => ops)).toEqual([[], []]);
});

test("a copy from which another was taken is said, and given up when it is", () => {
  const { pipeline, sent, feed } = world();
  const kept = pipeline.begin();
  feed(kept, LONG.slice(0, 20));
  const copy = kept.fork(18);
  const other = copy.fork(17);
  copy.dispose();
  feed(other, [7]);
  expect(sent[1]?.ops).toEqual([
    { type: "fork", from: 0, sequence: 1, length: 18 },
    { type: "fork", from: 1, sequence: 2, length: 17 },
    { type: "dispose", sequence: 1 },
  ]);
});

test("operations do not gather without end: a pass of them alone goes out, one at a time, and no work is taken meanwhile", () => {
  const { pipeline, sent, feed, back } = world();
  const kept = pipeline.begin();
  feed(kept, LONG);
  back(0);
  const counts: (readonly [sent: number, full: boolean])[] = [];
  for (let length = LONG.length - 1; length >= LONG.length - 1200; length--) {
    kept.cut(length);
    counts.push([sent.length, pipeline.full]);
  }
  const most = Pass.properties.ops.maxItems ?? 0;
  const full = counts.findIndex(([, isFull]) => isFull) + 1;
  back(1);
  const after = [sent.length, pipeline.full];
  back(2);
  feed(kept, [7]);
  expect([
    sent.map(({ number, ops, feeds }) => [number, ops.length, feeds.length]),
    full,
    after,
    sent.every(({ ops }) => ops.length <= most),
    pipeline.underWay,
  ]).toEqual([
    [
      [0, 0, 1],
      [1, 512, 0],
      [2, 688, 0],
      [3, 0, 1],
    ],
    1024,
    [3, false],
    true,
    1,
  ]);
});
