/** Machines that lack a model take what they need of it from one that has it: real processes, each with a disk of its own. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { exo, freshFolder } from "../cli/exo.ts";
import { type Machine, members, msUntil, type Running, started } from "./processes.ts";

setDefaultTimeout(180_000);

const GGUF = resolve(import.meta.dir, "../../.cache/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
const QUESTION = ["--seed", "7", "--temp", "1", "--max-tokens", "24", "Tell me of the sea."];

const modelsOf = ({ folder }: Machine): string => join(folder, "exo", "models");

/** The model under a name that no other machine knows. */
function give(machine: Machine): void {
  mkdirSync(modelsOf(machine), { recursive: true });
  symlinkSync(GGUF, join(modelsOf(machine), "sea.gguf"));
}

const linked = (all: readonly Running[]) =>
  msUntil(all, (view) => Object.values(view).every((state) => /^(self|up)/.test(state)));

/** The folder in which a machine keeps what it fetched of a model that is not whole. */
function partsOf(machine: Machine): string | undefined {
  const folder = join(modelsOf(machine), ".parts");
  const [only] = existsSync(folder) ? readdirSync(folder) : [];
  return only === undefined ? undefined : join(folder, only);
}

/** Parts that a crash would leave, by file and offset. */
function noted(machine: Machine): readonly string[] {
  const journal = join(partsOf(machine) ?? "", "here");
  return existsSync(journal) ? readFileSync(journal, "utf8").trimEnd().split("\n") : [];
}

test("a machine without the model fetches its layers of it, and answers as one that has it all; alone it fetches the rest", async () => {
  using folder = freshFolder();
  const [ada, bob] = await members(folder.path, ["ada", "bob"], []);
  if (!ada || !bob) throw new Error("two machines");
  give(ada);
  await using first = await started(ada);
  await using second = await started(bob);
  await linked([first, second]);
  const ask = (home: string, ...words: readonly string[]) =>
    exo(["run", "sea", ...words, ...QUESTION], { home });
  const split = await ask(bob.folder, "--nodes", "ada,bob");
  const part = noted(bob).length / (statSync(GGUF).size / 2 ** 20);
  const listed = [
    await exo(["ls", "--quiet"], { home: bob.folder }),
    await exo(["ls"], { home: bob.folder }),
    await exo(["rm", "sea", "--yes"], { home: bob.folder }),
  ];
  await exo(["stop", "sea"], { home: ada.folder });
  const single = await ask(ada.folder, "--nodes", "bob");
  const whole = await exo(["ls", "--quiet"], { home: bob.folder });
  const shown = await exo(["show", "sea"], { home: bob.folder });
  const left = existsSync(join(modelsOf(bob), ".parts")) ? readdirSync(join(modelsOf(bob), ".parts")) : [];
  await exo(["stop", "sea"], { home: ada.folder });
  const removed = await exo(["rm", "sea", "--yes"], { home: bob.folder });
  const alone = await ask(ada.folder);
  expect({
    split: [split.code, split.out === alone.out, split.err],
    part: (part > 0.3 && part < 0.8) || part,
    listed: listed.map(({ out, err }) => /sea.*/.exec(out + err)?.[0]),
    single: [single.code, single.out === alone.out, single.err],
    whole: [whole.out.includes("sea"), /fetched from.*/.exec(shown.out)?.[0]],
    left: [...left, removed.code],
    ada: existsSync(join(modelsOf(ada), ".parts")),
  }).toEqual({
    split: [0, true, ""],
    part: true,
    listed: [undefined, expect.stringMatching(/^sea +[0-9.]+ MB +parts/), "sea is loaded"],
    single: [0, true, ""],
    whole: [true, "fetched from  ada, of this home"],
    left: [0],
    ada: false,
  });
});

test("a fetch that was cut off by a kill goes on where it was", async () => {
  using folder = freshFolder();
  const [ada, bob] = await members(folder.path, ["ada", "bob"], []);
  if (!ada || !bob) throw new Error("two machines");
  give(ada);
  const ask = () => exo(["run", "sea", "--nodes", "bob", ...QUESTION], { home: ada.folder });
  const [first, second] = [await started(ada), await started(bob)];
  await linked([first, second]);
  const asked = ask();
  while (noted(bob).length < 2) await Bun.sleep(1);
  await second.kill("SIGKILL");
  const before = noted(bob);
  const cut = await asked;
  // Who leads leaves out for a minute who was lost while it loaded; another who leads knows nothing of it.
  await first.kill("SIGKILL");
  await using third = await started(ada);
  await using fourth = await started(bob);
  await linked([third, fourth]);
  const after = await ask();
  const [name = ""] = readdirSync(join(modelsOf(bob), "sea"));
  const alone = await exo(["run", "sea", ...QUESTION], { home: ada.folder });
  expect({
    cut: [cut.code, before.length >= 2],
    after: [after.code, after.out === alone.out, after.err],
    same: readFileSync(join(modelsOf(bob), "sea", name)).equals(readFileSync(GGUF)),
  }).toEqual({ cut: [5, true], after: [0, true, ""], same: true });
});
