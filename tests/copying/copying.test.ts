/** Two machines, a model on the disk of one, and a link between them that a test can break: what arrives, and what is said of the rest. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listPartial } from "#actors/shard-worker/weights/partial-list";
import { homes, sourceOf, weightsIn, whole } from "./fetching.ts";
import { counting, MIB, type Way, written } from "./two-machines.ts";

const { home, model: MODEL, weights: WEIGHTS, fresh, tried, end } = await homes();
afterAll(end);
// Each writes and hashes some hundred megabytes.
setDefaultTimeout(120_000);

test("who holds some layers gets those and no others, at their places", async () => {
  const read = new Set<number>();
  const folder = fresh("some");
  const path = await tried(folder, { layers: { start: 2, end: 3 }, way: counting(read) });
  const copy = weightsIn(path);
  // An embedding of one MiB, then ten for each layer and a bit; the header shifts them by 16 KiB.
  const inside = [22, 23, 24, 25, 26, 27, 28, 29, 30];
  expect({
    read: [...read].sort((a, b) => a - b),
    sizes: [copy.length, readdirSync(folder)],
    same: inside.every((at) =>
      copy.subarray(at * MIB, (at + 1) * MIB).equals(WEIGHTS.subarray(at * MIB, (at + 1) * MIB)),
    ),
    hole: copy.subarray(5 * MIB, 6 * MIB).every((byte) => byte === 0),
  }).toEqual({
    read: [0, 21, ...inside, 31],
    sizes: [WEIGHTS.length, [".parts"]],
    same: true,
    hole: true,
  });
});

test("a link that breaks again and again costs no part twice but those under way", async () => {
  let sent = 0;
  const breaking: Way = (_, bytes) => (++sent % 12 === 0 ? undefined : bytes);
  const path = await tried(fresh("breaking"), { way: breaking });
  const parts = Math.ceil(WEIGHTS.length / MIB) + 2;
  expect({ path, same: weightsIn(path).equals(WEIGHTS), few: sent < 3 * parts || sent }).toEqual({
    path: join(fresh("breaking"), "m"),
    same: true,
    few: true,
  });
});

test("a part that arrives damaged is asked for again; a source that always damages it is named with the place", async () => {
  let once = 0;
  const spoiling =
    (often: number): Way =>
    ({ offset }, bytes) => {
      if (offset !== 3 * MIB || once++ >= often) return bytes;
      return bytes.map((byte, i) => (i === 7 ? byte ^ 1 : byte));
    };
  const healed = await tried(fresh("healed"), { way: spoiling(1) });
  const same = weightsIn(healed).equals(WEIGHTS);
  once = 0;
  const never = await tried(fresh("never"), { way: spoiling(1e9) });
  expect([same, never]).toEqual([
    true,
    `unavailable: m is not on this machine, and cannot be had of another now: ada: model.safetensors arrives damaged at byte ${3 * MIB}`,
  ]);
});

test("who has the same model in other files does not undo what has come of the first", async () => {
  const other = written(join(home, "pretty", "m"));
  const config = JSON.parse(readFileSync(join(other, "config.json"), "utf8"));
  writeFileSync(join(other, "config.json"), JSON.stringify(config, null, 2));
  const times = new Map<number, number>();
  let sent = 0;
  const counted: Way = ({ offset }, bytes) => {
    if (bytes.length > 1e4) times.set(offset / MIB, (times.get(offset / MIB) ?? 0) + 1);
    return bytes;
  };
  const breaking: Way = (part, bytes) => (++sent === 30 ? undefined : counted(part, bytes));
  const path = await tried(fresh("layouts"), {
    sources: [
      [sourceOf(MODEL), breaking],
      [sourceOf(other), counted],
    ],
  });
  const twice = [...times.values()].filter((count) => count > 1).length;
  const alone = await tried(fresh("alone"), {
    sources: [
      [sourceOf(MODEL), ({ offset }, bytes) => (offset < 9 * MIB ? bytes : undefined)],
      [sourceOf(other), whole],
    ],
  });
  expect({
    twice: twice < 8 || twice,
    same: [path, alone].map((each) => weightsIn(each).equals(WEIGHTS)),
    left: [fresh("layouts"), fresh("alone")].map((each) => readdirSync(join(each, ".parts"))),
    configs: [path, alone].map((each) => readFileSync(join(each, "config.json"), "utf8").includes("\n")),
  }).toEqual({ twice: true, same: [true, true], left: [[], []], configs: [false, true] });
});

test("before more is fetched, nothing is hashed again that is not needed now", async () => {
  const folder = fresh("needed");
  await tried(folder, { layers: { start: 2, end: 4 } });
  const [digest = ""] = readdirSync(join(folder, ".parts"));
  const parts = join(folder, ".parts", digest);
  const copy = weightsIn(join(parts, "files"));
  for (const at of [0, 25]) copy.writeUInt8(copy.readUInt8(at * MIB + 20_000) ^ 255, at * MIB + 20_000);
  writeFileSync(join(parts, "files", "model.safetensors"), copy);
  const heard: number[] = [];
  await tried(folder, {
    layers: { start: 0, end: 1 },
    way: () => undefined,
    progress: (bytes) => heard.push(bytes),
  });
  const damaged = readFileSync(join(parts, "here"), "utf8").match(/^\d+ \d+ -$/gm);
  expect([damaged, heard.length > 0]).toEqual([["2 0 -"], true]);
});

test("what a crash left is taken up where its journal says, and only as far as it still is so", async () => {
  const folder = fresh("crashed");
  await damaged(folder);
  const read = new Set<number>();
  const path = await tried(folder, { way: counting(read) });
  expect({
    same: weightsIn(path).equals(WEIGHTS),
    again: [0, 3, 4, 5].filter((at) => read.has(at)),
    most: read.size < 25,
  }).toEqual({
    same: true,
    again: [4],
    most: true,
  });
});

test("parts whose record a crash left out have one again, so that they can be listed and deleted", async () => {
  const folder = fresh("unrecorded");
  await tried(folder, { layers: { start: 0, end: 1 } });
  const [digest = ""] = readdirSync(join(folder, ".parts"));
  rmSync(join(folder, ".parts", digest, "model.json"));
  await tried(folder, { layers: { start: 0, end: 2 } });
  expect((await listPartial(folder)).map(({ model }) => model)).toEqual(["m"]);
});

/** A fetch of some layers was cut off, and a byte of part 4 is another one since. */
async function damaged(folder: string): Promise<string> {
  await tried(folder, { layers: { start: 0, end: 2 } });
  const [digest = ""] = readdirSync(join(folder, ".parts"));
  const parts = join(folder, ".parts", digest);
  const copy = weightsIn(join(parts, "files"));
  copy.writeUInt8(copy.readUInt8(4 * MIB + 9) ^ 255, 4 * MIB + 9);
  writeFileSync(join(parts, "files", "model.safetensors"), copy);
  appendFileSync(join(parts, "here"), "2 999 abc");
  return parts;
}

test("a part that was found damaged stays so until it has been fetched again, over broken links and later tries", async () => {
  const folder = fresh("damaged");
  await damaged(folder);
  const first = await tried(folder, { way: ({ offset }, bytes) => (offset === 4 * MIB ? undefined : bytes) });
  const path = await tried(folder, {});
  expect([first.slice(0, 12), weightsIn(path).equals(WEIGHTS)]).toEqual(["unavailable:", true]);
});

test("who waits hears how far it is also while what was there is hashed again", async () => {
  const folder = fresh("hashed");
  await damaged(folder);
  const heard: number[] = [];
  await tried(folder, { way: () => undefined, progress: (bytes) => heard.push(bytes) });
  expect([heard.length > 15 || heard, heard.every((each, i) => each > (heard[i - 1] ?? 0))]).toEqual([
    true,
    true,
  ]);
});

test("a disk that is full is told before anything of the weights is fetched", async () => {
  const why = await tried(fresh("full"), { freeBytes: 70e6 });
  expect(why).toMatch(
    /^doesNotFit: the disk of bob is full: 4[0-9.]+ MB more are needed for its part of m in .*, 70(\.0)? MB are free$/,
  );
});

test("a whole copy that proves to be another model is deleted, and fetched anew by the next try", async () => {
  const folder = fresh("wrong");
  const parts = await damaged(folder);
  // A byte of the first tensor, which is part of the sample; the header ends at 16 KiB.
  const copy = weightsIn(join(parts, "files"));
  copy.writeUInt8(copy.readUInt8(17_000) ^ 255, 17_000);
  writeFileSync(join(parts, "files", "model.safetensors"), copy);
  const hash = new Bun.CryptoHasher("sha256").update(copy.subarray(0, MIB)).digest("hex");
  appendFileSync(join(parts, "here"), `\n2 0 ${hash}\n`);
  const first = await tried(folder, {});
  const isLeft = existsSync(parts);
  const path = await tried(folder, {});
  expect([first, isLeft, existsSync(path) && weightsIn(path).equals(WEIGHTS)]).toEqual([
    "invalid: the m that arrived is not the one that was asked for",
    false,
    true,
  ]);
});
