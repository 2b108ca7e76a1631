/** Half-written and damaged files of a machine's identity and membership: found, said, and never believed. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SqliteStore } from "#actors/supervisor/cluster/sqlite-store";
import { exo, freshFolder } from "../cli/exo.ts";
import { started } from "../cluster/processes.ts";
import { DamagedHome, type Fate } from "./damage.ts";

const flipped = (at: number, bit: number) => (whole: Uint8Array) => {
  whole[at] = (whole[at] ?? 0) ^ (1 << bit);
  return whole;
};

const isBelieved = (fate: Fate) => typeof fate === "object" && "believed" in fate;

/** How often each came, and all that should not have. */
function counted(fates: readonly Fate[]) {
  const said = fates.filter((fate) => typeof fate === "object" && "said" in fate).length;
  const same = fates.filter((fate) => fate === "same").length;
  return { said, same, wrong: fates.filter(isBelieved) };
}

describe("a damaged cluster.db", () => {
  test("is refused with a command that mends it, or holds what it held, whichever bit is another", async () => {
    using home = await DamagedHome.make();
    const places = Array.from({ length: 400 }, (_, i) => Math.floor((i * home.bytes) / 400));
    const { wrong, said } = counted(places.map((at, i) => home.after(flipped(at, i % 8))));
    expect({ wrong, some: said > 50 }).toEqual({ wrong: [], some: true });
  });

  test("is refused wherever it ends too early", async () => {
    using home = await DamagedHome.make();
    const lengths = Array.from({ length: 60 }, (_, i) => 1 + Math.floor((i * (home.bytes - 1)) / 60));
    const fates = lengths.map((length) => home.after((whole) => whole.subarray(0, length)));
    expect(counted(fates).wrong).toEqual([]);
  });

  test("that a killed process left holds all that it had confirmed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "exo-killed-"));
    const path = join(folder, "cluster.db");
    try {
      const found: string[] = [];
      for (let kill = 0; kill < 3; kill++) {
        const child = Bun.spawn([process.execPath, join(import.meta.dir, "writer.ts"), path], {
          stdout: "pipe",
        });
        const confirmed = await confirmedBefore(child, 15 + kill * 7);
        const store = new SqliteStore(path);
        const { term, entries } = store.load();
        store.close();
        const kept = term >= confirmed && entries.length >= confirmed;
        found.push(kept ? "kept" : `${confirmed} confirmed, ${term} and ${entries.length} there`);
      }
      expect(found).toEqual(new Array(3).fill("kept"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test("a key of which any bit is another, or that ends too early, is another machine's: said, and not used", async () => {
  using home = await DamagedHome.make();
  const { length } = home.identity.pem;
  const fates: Fate[] = [];
  for (let at = 0; at < length; at++) {
    fates.push(await home.afterKey(flipped(at, at % 8)));
    fates.push(await home.afterKey((whole) => whole.subarray(0, at)));
  }
  const { wrong, said } = counted(fates);
  expect({ wrong, most: said > length }).toEqual({ wrong: [], most: true });
});

test("exo serve with a damaged membership serves alone and says what mends it, and that does", async () => {
  using folder = freshFolder();
  const home = { name: "studio", folder: folder.path };
  const log = () => readFileSync(join(folder.path, "log"), "utf8");
  const serve = async () => {
    await using running = await started(home);
    const machines = (await fetch(`${running.url}/v1/models`)).status;
    const ask = async (...words: readonly string[]) => {
      const { code, out, err } = await exo(words, { home: folder.path });
      return `${code} ${out}${err}`;
    };
    const asked = [await ask("nodes"), await ask("invite", "--ttl", "1s"), await ask("rotate-key")];
    await running.kill("SIGTERM");
    return { machines, asked, said: log() };
  };
  await serve();
  const file = join(folder.path, "exo", "node", "cluster.db");
  writeFileSync(file, flipped(100, 3)(new Uint8Array(readFileSync(file))));
  const alone = await serve();
  const mended = await exo(["node", "reset-identity", "--yes"], { home: folder.path });
  const after = await serve();
  expect({ alone, mended: mended.code, after: after.said.includes("damaged") }).toEqual({
    alone: {
      machines: 200,
      asked: [
        expect.stringMatching(
          /^0 NODE.*\n\nThis machine serves alone: .*cluster\.db is damaged: .*exo node reset-identity --yes/,
        ),
        expect.stringMatching(
          /^8 ✗ this machine serves alone: .*is damaged: .*exo node reset-identity --yes/,
        ),
        expect.stringMatching(
          /^8 ✗ this machine serves alone: .*is damaged: .*exo node reset-identity --yes/,
        ),
      ],
      said: expect.stringContaining("is damaged: "),
    },
    mended: 0,
    after: false,
  });
  expect(alone.said).toContain("this machine serves alone: end exo, then exo node reset-identity --yes");
});

/** Kills the writer once it has confirmed `count`; what it said last. */
async function confirmedBefore(
  child: Bun.Subprocess<"ignore", "pipe", "inherit">,
  count: number,
): Promise<number> {
  let [text, said] = ["", 0];
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk);
    said = Number(text.slice(0, text.lastIndexOf("\n")).split("\n").at(-1));
    if (said >= count) child.kill("SIGKILL");
  }
  await child.exited;
  return said;
}
