/** What a machine measured stays known, also when its file is damaged or cannot be written. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelShape } from "#protocol/model-shape";
import { SpeedBook } from "./speed-book.ts";

const shape = (bytes: number): ModelShape => ({
  ...{ architecture: "llama", embeddingBytes: 10, headBytes: 10, tied: false, hidden: 8, feedForward: 8 },
  ...{ heads: 1, kvHeads: 1, headDims: 8, vocabulary: 10, divisions: [] },
  layers: [{ bytes, wholeBytes: 0, flops: 2 * bytes }],
});
const model = (bytes: number) => ({ shape: shape(bytes), quantisation: "4-bit", kvBytes: 2 });
const pace = (ms: number) => ({
  layers: { start: 0, end: 1 },
  steps: [{ kind: "decode", rows: 1, depth: 0, until: "head", ms } as const],
});

function folder() {
  const path = mkdtempSync(join(tmpdir(), "speeds-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test("what was learned is there again after a start, for the same version and kernels alone", async () => {
  using home = folder();
  const troubled = (why: string) => {
    throw new Error(why);
  };
  const opened = (by: string) => new SpeedBook({ folder: home.path, by, troubled });
  const book = opened("1 avx2");
  const first = book.learn(model(1e9), pace(50));
  // Another size of the family is another entry; twenty of them are more than are kept.
  for (let size = 1; size <= 20; size++) book.learn(model(2 ** size * 1e9), pace(50));
  await book.flushed();
  const [again, other] = [opened("1 avx2"), opened("1 portable")];
  expect([again.speeds, again.speeds.length, first !== undefined, other.speeds]).toEqual([
    book.speeds,
    16,
    true,
    [],
  ]);
});

test("a worker's word on a model whose files are gone is said and not kept", () => {
  using home = folder();
  const said: string[] = [];
  const book = new SpeedBook({ folder: home.path, by: "1", troubled: (why) => said.push(why) });
  book.heard({ model: "m", path: join(home.path, "gone.gguf") }, pace(5));
  expect([book.speeds, said]).toEqual([[], [expect.stringContaining("gone.gguf does not exist")]]);
});

test("a damaged file is as none, and one that cannot be written is said and forgotten", async () => {
  using home = folder();
  writeFileSync(join(home.path, "speeds.json"), '{"by":"1","speeds":[{"archi');
  mkdirSync(join(home.path, "speeds.json.new"));
  const said: string[] = [];
  const book = new SpeedBook({ folder: home.path, by: "1", troubled: (why) => said.push(why) });
  const before = book.speeds;
  book.learn(model(1e9), pace(50));
  await book.flushed();
  expect([
    before,
    book.speeds.length,
    said.map((why) => why.includes("speeds.json could not be written")),
  ]).toEqual([[], 1, [true]]);
});
