/** Bugs planted into a copy of the sources: the simulator must find each within its budget, and nothing without them. */
import { describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PLANTED, type Planted } from "./planted.ts";

const ROOT = join(import.meta.dir, "../..");
/** Runs of two minutes each that a bug may stay hidden for. */
const SEEDS_MAX = 150;
const TIMEOUT_MS = 120_000;

/** The sources with these changes, in a folder of their own that ends with its holder. */
async function changed(...changes: readonly Pick<Planted, "file" | "from" | "to">[]) {
  using making = new DisposableStack();
  const copy = mkdtempSync(join(tmpdir(), "exo-planted-"));
  making.defer(() => rmSync(copy, { recursive: true }));
  for (const part of ["actors", "protocol", "tests/sim", "package.json", "tsconfig.json"])
    cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  for (const { file, from, to } of changes) {
    const text = await Bun.file(join(copy, file)).text();
    if (!text.includes(from)) throw new Error(`${file} has no "${from}" any more: plant the bug anew`);
    await Bun.write(join(copy, file), text.replace(from, to));
  }
  const made = making.move();
  return { folder: copy, [Symbol.dispose]: () => made.dispose() };
}

/** The first thing that the simulator finds wrong; undefined when nothing is. */
async function found(
  cwd: string,
  { world, nodes, seed }: Pick<Planted, "world" | "nodes" | "seed">,
  seeds: number,
) {
  const range = `${seed}..${seed + seeds - 1}`;
  const command = [
    process.execPath,
    "tests/sim/run.ts",
    "--world",
    world,
    "--nodes",
    `${nodes}`,
    "--seeds",
    range,
    "--first",
  ];
  const child = Bun.spawn(command, { cwd, stdout: "pipe", stderr: "inherit" });
  const said = await child.stdout.text();
  return (await child.exited) === 0 ? undefined : said.split("\n")[0];
}

describe("the simulator", () => {
  for (const planted of PLANTED)
    test(
      `finds: ${planted.bug}`,
      async () => {
        using copy = await changed(planted, ...(planted.also ? [planted.also] : []));
        expect(await found(copy.folder, planted, SEEDS_MAX)).toBeDefined();
      },
      TIMEOUT_MS,
    );

  test(
    "finds nothing without them, with small batches neither",
    async () => {
      const also = PLANTED.flatMap((planted) => planted.also ?? []);
      const plain = { world: "raft", nodes: 5, seed: 1 } as const;
      using small = await changed(...also);
      using unchanged = await changed();
      expect([
        await found(small.folder, { ...plain, nodes: 3 }, 6),
        await found(unchanged.folder, plain, 6),
      ]).toEqual([undefined, undefined]);
    },
    TIMEOUT_MS,
  );
});
