/** Two machines, a model on the disk of one, and a link between them that a test can break: what arrives, and what is said of the rest. */
import { afterAll, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#actors/runtime/clock";
import type { Link } from "#actors/runtime/transport/network";
import { viewCheckpoint } from "#actors/shard-worker/weights/checkpoint-view";
import { type Fetching, type FetchPorts, fetchModel } from "#actors/supervisor/copying/fetch";
import { Sources } from "#actors/supervisor/copying/source";
import { Copying, CopyingReply } from "#protocol/copying";
import type { Address } from "#protocol/ids";
import { problemOf } from "#protocol/problem";
import { ADA, BOB, counting, linkOf, lying, MIB, type Way, written } from "./two-machines.ts";

const home = mkdtempSync(join(tmpdir(), "exo-copying-"));
afterAll(() => rmSync(home, { recursive: true }));

const MODEL = written(join(home, "ada", "m"));
const DIGEST = (await viewCheckpoint(MODEL)).digest.whole;
const WEIGHTS = readFileSync(join(MODEL, "model.safetensors"));

const whole: Way = (_, bytes) => bytes;

interface Tried extends Partial<Pick<Fetching, "layers" | "digest" | "signal" | "progress">> {
  readonly way?: Way;
  readonly freeBytes?: number;
  /** In place of the true one. */
  readonly source?: (link: Link) => void;
}

/** What bob gets of ada: where it lies then, or why it does not. */
async function tried(
  folder: string,
  { way = whole, freeBytes = 1e12, source, ...asked }: Tried,
): Promise<string> {
  const sources = new Sources({ self: ADA, find: async () => ({ name: "m", path: MODEL }) });
  mkdirSync(folder, { recursive: true });
  const ports: FetchPorts = {
    self: BOB,
    // No test waits for a pause.
    clock: { ...systemClock, after: (ms, run) => systemClock.after(ms > 10_000 ? ms : 0, run) },
    sources: () => [ADA],
    nameOf: (node) => node,
    dial: async () => {
      const [near, far] = linkOf(way);
      if (source) source(far);
      else sources.take(far);
      return near;
    },
    modelsFolder: folder,
    freeBytes: async () => freeBytes,
  };
  const fetching = {
    model: "m",
    digest: DIGEST,
    signal: new AbortController().signal,
    progress: () => {},
    ...asked,
  };
  return await fetchModel(ports, fetching).catch(
    (error: unknown) => `${(error as { kind?: string }).kind ?? "no problem"}: ${(error as Error).message}`,
  );
}

const fresh = (name: string): string => join(home, name, "models");
const weightsIn = (path: string): Buffer => readFileSync(join(path, "model.safetensors"));

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
  const { files } = JSON.parse(readFileSync(join(parts, "model.json"), "utf8"));
  const at = files.findIndex(({ name }: { name: string }) => name === "tokenizer.json");
  writeFileSync(join(parts, "files", "tokenizer.json"), "[]");
  const hash = new Bun.CryptoHasher("sha256").update("[]").digest("hex");
  appendFileSync(join(parts, "here"), `\n${at} 0 ${hash}\n`);
  const first = await tried(folder, {});
  const isLeft = existsSync(parts);
  const path = await tried(folder, {});
  expect([first, isLeft, existsSync(path) && weightsIn(path).equals(WEIGHTS)]).toEqual([
    "invalid: the m that arrived is not the one that was asked for",
    false,
    true,
  ]);
});

test("a source cannot name files outside of the model's folder, nor give another model than was asked for", async () => {
  const named = (name: string) =>
    lying(() => CopyingReply.Files({ files: [{ name, bytes: 3, headBytes: 3 }] }));
  const names = ["../../evil.json", "/etc/evil.json", ".bashrc", "a/b.json", "..\\x.json", "run.sh"];
  const refused = await Promise.all(
    names.map((name, i) => tried(fresh(`evil${i}`), { source: named(name) })),
  );
  const other = await tried(fresh("other"), { digest: "0".repeat(64) });
  const path = await tried(fresh("path"), { digest: "../../../evil" });
  expect({
    refused: refused.map((why) => why.includes("names a file that no model has")),
    outside: [join(home, "evil.json"), "/etc/evil.json"].filter((each) => existsSync(each)),
    other,
    path,
  }).toEqual({
    refused: names.map(() => true),
    outside: [],
    other:
      "notFound: m is not on this machine, and cannot be had of another now: ada: the m of this machine is another one",
    path: "invalid: a model's digest is 64 hexadecimal digits",
  });
});

test("who asks for a path of the other machine's disk hears nothing of it", async () => {
  const looked: string[] = [];
  const find = async (path: string) => {
    looked.push(path);
    return { name: "m", path: MODEL };
  };
  const sources = new Sources({ self: ADA, find });
  const said = async (model: string) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const [near, far] = linkOf(whole);
    sources.take(far);
    near.onReceive = ({ message }) => resolve(message.type);
    const open = Copying.Open({ model, digest: DIGEST });
    near.send({ to: "ada/files" as Address, from: "bob/files" as Address, message: open });
    return await promise.finally(() => near.close());
  };
  const paths = [MODEL, "/etc", "~/x", "../x", "a/../../x", "C:\\x"];
  expect([await Promise.all(paths.map(said)), looked, await said("m")]).toEqual([
    paths.map(() => "CopyingReply.Refused"),
    ["m"],
    "CopyingReply.Files",
  ]);
});

test("who asks gets the files of the model that it opened, in their bounds, and its link is closed for all else", async () => {
  const sources = new Sources({ self: ADA, find: async () => ({ name: "m", path: MODEL }) });
  const fate = async (...messages: readonly { readonly type: string }[]) => {
    const [near, far] = linkOf(whole);
    sources.take(far);
    const { promise, resolve } = Promise.withResolvers<string>();
    let parts = 0;
    let [next] = messages;
    near.onReceive = ({ message }) => {
      const said = message as CopyingReply;
      if (said.type === "CopyingReply.Refused") resolve(problemOf(said.problem).message);
      else for (const each of messages.slice(1)) say(each);
    };
    near.onBody = () => void (++parts === messages.length - 1 && resolve(`${parts} parts`));
    near.onClose = () => resolve("closed");
    const say = (message: { readonly type: string }) =>
      near.send({ to: "ada/files" as Address, from: "bob/files" as Address, message });
    if (next) say(next);
    next = undefined;
    return await promise.finally(() => near.close());
  };
  const open = Copying.Open({ model: "m", digest: DIGEST });
  const read = (file: number, offset: number, length: number) => Copying.Read({ file, offset, length });
  expect([
    await fate(open, read(2, 0, 16), read(0, 1, 2)),
    await fate(open, read(2, WEIGHTS.length - 8, 16)),
    await fate(open, read(99, 0, 16)),
    await fate(read(0, 0, 16)),
    await fate(open, open),
    await fate(open, ...Array.from({ length: 200 }, () => read(2, 0, MIB))),
    await fate({ type: "Supervisor.List" }),
  ]).toEqual([
    "2 parts",
    `there is no byte ${WEIGHTS.length + 8} of file 2`,
    "there is no byte 16 of file 99",
    "there is no byte 16 of file 0",
    "closed",
    "closed",
    "closed",
  ]);
});
