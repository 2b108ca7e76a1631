import { afterEach, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#actors/runtime/clock";
import type { EmbeddedLibrary } from "./build-facts.ts";
import { unpack } from "./unpack.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true, force: true });
  }
});

function fresh(): string {
  const folder = mkdtempSync(join(tmpdir(), "exo-unpack-"));
  folders.push(folder);
  return folder;
}

const CONTENTS: Readonly<Record<string, string>> = {
  "libexo.so": "the shim",
  "libmlx.so": "a large library",
};

function library(contents = CONTENTS, hash = "0123456789abcdef"): EmbeddedLibrary {
  const embedded = fresh();
  const files = Object.entries(contents).map(([name, text]) => {
    const source = join(embedded, name);
    writeFileSync(source, text);
    return {
      name,
      bytes: text.length,
      sha256: new Bun.CryptoHasher("sha256").update(text).digest("hex"),
      source,
    };
  });
  return { hash, files };
}

/** Unpacks, and says how often files had to be written. */
async function unpacked(from: EmbeddedLibrary, home: string) {
  let times = 0;
  const folder = await unpack(from, { home, ...systemClock, unpacking: () => times++ });
  const held = Object.fromEntries(
    await Promise.all(
      from.files.map(async ({ name }) => [name, await Bun.file(join(folder, name)).text()] as const),
    ),
  );
  return { folder, times, held, names: readdirSync(folder).sort() };
}

const whole = { held: CONTENTS, names: [".verified.json", "libexo.so", "libmlx.so"] };

test("the library is unpacked once into a private folder and reused", async () => {
  const home = join(fresh(), "new", "home");
  const from = library();
  const [first, second] = [await unpacked(from, home), await unpacked(from, home)];
  const folder = join(home, "cache/lib/0123456789abcdef");
  expect({ first, second, mode: statSync(folder).mode & 0o777 }).toEqual({
    first: { ...whole, folder, times: 1 },
    second: { ...whole, folder, times: 0 },
    mode: 0o700,
  });
});

const damages: readonly (readonly [string, (path: string) => void])[] = [
  ["cut short", (path) => writeFileSync(path, "the")],
  ["changed in the same size", (path) => writeFileSync(path, "the shin")],
  [
    "changed with its time set back",
    (path) => {
      const { atime, mtime } = statSync(path);
      writeFileSync(path, "the shin");
      utimesSync(path, atime, mtime);
    },
  ],
  ["deleted", (path) => rmSync(path)],
  [
    "made writable by all and changed",
    (path) => {
      writeFileSync(path, "the shin");
      chmodSync(path, 0o666);
    },
  ],
  [
    "replaced by a link",
    (path) => {
      rmSync(path);
      symlinkSync("/etc/hostname", path);
    },
  ],
];

test.each(damages)("a file that was %s is unpacked again", async (_, damage) => {
  const home = fresh();
  const from = library();
  const { folder } = await unpacked(from, home);
  damage(join(folder, "libexo.so"));
  expect(await unpacked(from, home)).toEqual({ ...whole, folder, times: 1 });
});

test("a lost stamp costs a check, not an unpacking", async () => {
  const home = fresh();
  const from = library();
  const { folder } = await unpacked(from, home);
  writeFileSync(join(folder, ".verified.json"), '{"libexo.so": "8 ');
  expect(await unpacked(from, home)).toEqual({ ...whole, folder, times: 0 });
});

test("what a killed process left half done is removed", async () => {
  const home = fresh();
  const dead = Bun.spawnSync(["true"]).pid;
  const folder = join(home, "cache/lib/0123456789abcdef");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, `.tmp-${dead}-x`), "half");
  writeFileSync(join(folder, `.tmp-${process.pid}-x`), "half");
  const { names } = await unpacked(library(), home);
  expect(names).toEqual([`.tmp-${process.pid}-x`, ...whole.names].sort());
});

test("many at once end with one whole library", async () => {
  const home = fresh();
  const from = library();
  const all = await Promise.all(Array.from({ length: 8 }, () => unpacked(from, home)));
  const after = await unpacked(from, home);
  expect({ held: all.map(({ held }) => held), after: { names: after.names, times: after.times } }).toEqual({
    held: Array(8).fill(CONTENTS),
    after: { names: whole.names, times: 0 },
  });
});

/** The Problem as kind, message without folder, and remedy. */
const refusal = async (work: Promise<unknown>, folder: string) => {
  const error = await work.then(
    () => ({}),
    (thrown: object) => thrown,
  );
  const { kind, message, remedy } = error as { kind?: string; message?: string; remedy?: string };
  return { kind, message: message?.replaceAll(folder, "HOME"), remedy: remedy?.replaceAll(folder, "HOME") };
};

test("a folder that everyone may write to is refused", async () => {
  const home = fresh();
  mkdirSync(join(home, "cache"));
  chmodSync(join(home, "cache"), 0o777);
  expect(await refusal(unpacked(library(), home), home)).toEqual({
    kind: "internal",
    message: "everyone may write to HOME/cache, so anyone could change what exo loads",
    remedy: "run: chmod go-w 'HOME/cache'",
  });
});

test("a file where the folder should be is refused", async () => {
  const home = fresh();
  writeFileSync(join(home, "cache"), "");
  expect(await refusal(unpacked(library(), home), home)).toMatchObject({
    message: "HOME/cache is not a folder",
  });
});

test("an embedded file with a wrong hash is never put in place", async () => {
  const home = fresh();
  const from = library();
  const wrong = { ...from, files: from.files.map((file) => ({ ...file, sha256: "0".repeat(64) })) };
  const refused = await refusal(unpacked(wrong, home), home);
  expect({ message: refused.message, names: readdirSync(join(home, "cache/lib/0123456789abcdef")) }).toEqual({
    message: "libexo.so does not have the hash it was built with",
    names: [],
  });
});

test("another version's library is removed once nobody has used it for 30 days", async () => {
  const home = fresh();
  const versions = ["used", "unused", "new"].map((hash) => library(CONTENTS, hash));
  const daysAgo = (days: number) => systemClock.epochSeconds() - days * 86_400;
  const unpackOn = (from: EmbeddedLibrary, days: number) =>
    unpack(from, { home, ...systemClock, epochSeconds: () => daysAgo(days) });
  const [used, unused, fromNew] = versions as [EmbeddedLibrary, EmbeddedLibrary, EmbeddedLibrary];
  for (const each of [used, unused]) {
    const folder = await unpackOn(each, 40);
    utimesSync(folder, daysAgo(40), daysAgo(40));
  }
  await unpackOn(used, 29);
  await unpackOn(fromNew, 0);
  expect(readdirSync(join(home, "cache/lib")).sort()).toEqual(["new", "used"]);
});
