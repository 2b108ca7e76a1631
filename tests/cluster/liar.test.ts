/** A machine that has less memory than it says, as processes: whatever loads a part there is killed, as systems do that run out. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { exo, freshFolder } from "../cli/exo.ts";
import { members, type Running, started } from "./processes.ts";
import { linked } from "./streams.ts";

setDefaultTimeout(120_000);

const QUESTION = ["--seed", "7", "--temp", "1", "--max-tokens", "16", "Tell me of the sea."];
const LOOK_EVERY_MS = 10;

/** As proc(5) lists them; a process that ends meanwhile has none. */
function childrenOf(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  const lists = readdirSync(tasks).map((task) => {
    try {
      return readFileSync(`${tasks}/${task}/children`, "utf8");
    } catch {
      return "";
    }
  });
  return lists.join(" ").split(" ").filter(Boolean).map(Number);
}

/** Whichever of these starts a worker first runs out of memory then and ever after. */
function outOfMemory(all: readonly Running[]) {
  let liar: Running | undefined;
  let kills = 0;
  const timer = setInterval(() => {
    liar ??= all.find(({ pid }) => childrenOf(pid).length > 0);
    for (const worker of liar ? childrenOf(liar.pid) : []) {
      kills++;
      process.kill(worker, "SIGKILL");
    }
  }, LOOK_EVERY_MS);
  return { liar: () => liar?.name ?? "", kills: () => kills, [Symbol.dispose]: () => clearInterval(timer) };
}

test("a machine that dies of what it said to have room for is left out, and another takes its place", async () => {
  using folder = freshFolder();
  const [ada, bob, cyd] = await members(folder.path, ["ada", "bob", "cyd"], []);
  if (!ada || !bob || !cyd) throw new Error("three machines");
  await using first = await started(ada);
  await using second = await started(bob);
  await using third = await started(cyd);
  await linked([first, second, third]);
  using memory = outOfMemory([second, third]);
  const ask = (...words: readonly string[]) =>
    exo(["run", "smollm2", ...words, ...QUESTION], { home: ada.folder });
  const answer = await ask("--min-nodes", "2");
  const { out: held } = await exo(["ps"], { home: ada.folder });
  await exo(["stop", "smollm2"], { home: ada.folder });
  const again = await ask("--nodes", `ada,${memory.liar()}`);
  const alone = await ask();
  expect({
    same: [answer.code, answer.out === alone.out || answer],
    held: [held.includes("ada"), held.includes(memory.liar()), memory.kills() > 0],
    again: [again.code, again.err],
  }).toEqual({
    same: [0, true],
    held: [true, false, true],
    again: [5, expect.stringMatching(/(bob|cyd) is left out for \d+ s: .*SIGKILL/)],
  });
});
