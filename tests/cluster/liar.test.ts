/** A machine that has less memory than it says, as processes: whatever loads a part there is killed, as systems do that run out. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { WORKER_ROLE } from "#actors/supervisor/node/role";
import { expectIn, homeOf, type Member } from "./home-of.ts";

setDefaultTimeout(300_000);

const QUESTION = ["--seed", "7", "--temp", "1", "--max-tokens", "16", "Tell me of the sea."];
const LOOK_EVERY_MS = 10;

/** Not those that work out a certificate or seal a key. As proc(5) lists them; a process that ends meanwhile is none. */
const workersOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => read(`/proc/${pid}/task/${task}/children`).split(" ").filter(Boolean))
    .map(Number)
    .filter((child) => read(`/proc/${child}/cmdline`).split("\0").includes(WORKER_ROLE));

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Whichever of these starts a worker first runs out of memory then and ever after. */
function outOfMemory(all: readonly Member[]) {
  let liar: Member | undefined;
  let kills = 0;
  const timer = setInterval(() => {
    liar ??= all.find(({ pid }) => workersOf(pid).length > 0);
    for (const worker of liar ? workersOf(liar.pid) : []) {
      kills++;
      process.kill(worker, "SIGKILL");
    }
  }, LOOK_EVERY_MS);
  return { liar: () => liar?.name ?? "", kills: () => kills, [Symbol.dispose]: () => clearInterval(timer) };
}

test("a machine that dies of what it said to have room for is left out, and another takes its place", async () => {
  await using home = await homeOf("ada", "bob", "cyd");
  const [ada, bob, cyd] = home.all;
  // Else the worker that measures is the first that is seen, and its machine may be given no part to fail at.
  await ada.exo("plan", "smollm2", "--measure");
  using memory = outOfMemory([bob, cyd]);
  const ask = (...words: readonly string[]) => ada.exo("run", "smollm2", ...words, ...QUESTION);
  const answer = await ask("--min-nodes", "2");
  const { out: held } = await ada.exo("ps");
  await ada.exo("stop", "smollm2");
  const again = await ask("--nodes", `ada,${memory.liar()}`);
  const alone = await ask();
  const seen = {
    same: [answer.code, answer.out === alone.out || answer],
    held: [held.includes("ada"), held.includes(memory.liar()), memory.kills() > 0],
    again: [again.code, again.err],
  };
  expectIn(home.all, seen, {
    same: [0, true],
    held: [true, false, true],
    again: [5, expect.stringMatching(/(bob|cyd) is left out for \d+ s: .*SIGKILL/)],
  });
});
