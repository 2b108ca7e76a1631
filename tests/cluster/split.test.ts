/** One model on several machines, as processes of one home on this machine: what its user sees, and what is left when one is killed. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { ModelState } from "#protocol/supervisor";
import { freshFolder } from "../cli/exo.ts";
import { until } from "../node/crashes.ts";
import { expectIn, homeOf, type Member } from "./home-of.ts";
import { type Machine, members, type Running, started } from "./processes.ts";
import { linked, PAUSE_MS_MAX, streamed } from "./streams.ts";

setDefaultTimeout(180_000);

const QUESTION = ["--seed", "7", "--temp", "1", "--max-tokens", "24", "Tell me of the sea."];

/** The layers of the model by machine, as `exo ps` shows them. */
const layersIn = (ps: string): string =>
  / {2}(\w+ \d+-\d+( \| \w+ \d+-\d+)*)\n/.exec(ps.replaceAll("–", "-"))?.[1] ?? ps;

test("a model on two machines says what it says on one, whichever of the two is asked", async () => {
  await using home = await homeOf("ada", "bob");
  const [ada, bob] = home.all;
  const ask = (at: Member, ...words: readonly string[]) => at.exo("run", "smollm2", ...words, ...QUESTION);
  const split = await ask(bob, "--nodes", "ada,bob");
  const other = await ask(ada);
  const shown = [await ada.exo("ps"), await bob.exo("ps")];
  const again = await ask(ada, "--nodes", "bob");
  // Facts of a machine are told again every few seconds.
  const calibrated = await until(
    async () => JSON.parse((await bob.exo("plan", "smollm2", "--json")).out).calibrated,
    (isTrue) => isTrue === true,
  );
  const stopped = await ada.exo("stop", "smollm2");
  const left = await ada.exo("ps");
  const alone = await ask(ada);
  const layers = shown.map(({ out }) => layersIn(out));
  const seen = {
    same: [split, other].map(({ code, out, err }) => [code, out === alone.out || [out, err, alone]]),
    layers: [layers[0] === layers[1], layers[0]],
    again: [again.code, again.err],
    calibrated,
    stopped: stopped.code,
    left: [left.out, alone.code, alone.out.length > 20],
  };
  expectIn(home.all, seen, {
    same: [
      [0, true],
      [0, true],
    ],
    layers: [true, expect.stringMatching(/^(ada|bob) 0-\d+ \| (ada|bob) \d+-29$/)],
    again: [1, expect.stringContaining("smollm2 is on 2 machines already")],
    calibrated: true,
    stopped: 0,
    left: ["", 0, true],
  });
});

test("a model is placed among three machines: on those that are named, and not where it is missing", async () => {
  await using home = await homeOf("ada", "bob", "cyd");
  const [ada, bob, cyd] = home.all;
  const plan = await bob.exo("plan", "smollm2", "--measure", "--json");
  const nobody = await cyd.exo("run", "smollm2", "--nodes", "ada,dan", ...QUESTION);
  const many = await cyd.exo("run", "smollm2", "--min-nodes", "4", ...QUESTION);
  const three = await cyd.exo("run", "smollm2", "--min-nodes", "3", ...QUESTION);
  const shown = await bob.exo("ps");
  await bob.exo("stop", "smollm2");
  const alone = await ada.exo("run", "smollm2", ...QUESTION);
  const seen = {
    plan: [plan.code, plan.err, JSON.parse(plan.out).calibrated],
    nobody: [nobody.code, nobody.err],
    many: [many.code, many.err],
    three: [three.code, three.out === alone.out || [three, alone], three.err],
    machines: layersIn(shown.out).split(" | ").length,
  };
  expectIn(home.all, seen, {
    plan: [0, "", true],
    nobody: [4, expect.stringContaining("no machine of this home is called dan")],
    many: [5, expect.stringContaining("4 machines are needed, 3 can take part")],
    three: [0, true, ""],
    machines: 3,
  });
});

const KILLED_AT = 20;
type Disturbance = (all: ReadonlyMap<string, Running>, url: string) => Promise<unknown>;

/** Of a story that is asked of one machine while something is done to the home; the model is on `on` of its machines first. */
async function disturbed(
  names: readonly string[],
  { asked, on = names, by }: { asked: string; on?: readonly string[]; by: Disturbance },
) {
  using folder = freshFolder();
  const machines = await members(folder.path, names, []);
  const all = new Map<string, Running>();
  try {
    await Promise.all(machines.map(async (each: Machine) => void all.set(each.name, await started(each))));
    await linked([...all.values()]);
    const url = all.get(asked)?.url ?? "";
    const post = (path: string, body: object) =>
      fetch(`${url}/exo/v1/${path}`, { method: "POST", body: JSON.stringify(body) });
    // What is known already is not measured while the answer goes on.
    if (on !== names) await post("speeds/measure", { model: "smollm2" });
    const placed = await post("load", { model: "smollm2", nodes: on });
    const whole = await streamed(url, () => {});
    let [done, during, isOver] = [Promise.resolve(), false, false];
    const cut = await streamed(url, (count) => {
      if (count !== KILLED_AT) return;
      done = by(all, url).then(() => {
        during = !isOver;
      });
    });
    isOver = true;
    await done;
    const ps = await (await fetch(`${url}/exo/v1/ps`)).text();
    const { models }: { readonly models: readonly ModelState[] } = JSON.parse(ps);
    return {
      machines: models[0]?.stages?.map(({ name }) => name).sort(),
      placed: placed.status,
      same: cut.text === whole.text || [whole.text, cut.text],
      during,
      soon: cut.pauseMs < PAUSE_MS_MAX || cut.pauseMs,
      problem: cut.problem,
    };
  } finally {
    await Promise.all([...all.values()].map((each) => each.kill("SIGKILL")));
  }
}

const killing = async (names: readonly string[], asked: string, killed: string) => {
  const by: Disturbance = async (all) => await all.get(killed)?.kill("SIGKILL");
  const { machines: _, ...went } = await disturbed(names, { asked, by });
  return went;
};

const WENT_ON: Awaited<ReturnType<typeof killing>> = {
  ...{ placed: 200, same: true, during: true, soon: true, problem: "" },
};

test("an answer goes on when one of its machines is killed", async () => {
  expect(await killing(["ada", "bob"], "ada", "bob")).toEqual(WENT_ON);
});

test("an answer goes on when the machine is killed that leads, with three and with two of them", async () => {
  expect([
    await killing(["ada", "bob", "cyd"], "bob", "ada"),
    await killing(["ada", "bob"], "bob", "ada"),
  ]).toEqual([WENT_ON, WENT_ON]);
});

test("an answer goes on when its model moves to other machines", async () => {
  const body = JSON.stringify({ model: "smollm2", nodes: ["bob", "cyd"] });
  const by: Disturbance = (_, url) => fetch(`${url}/exo/v1/rebalance`, { method: "POST", body });
  const went = await disturbed(["ada", "bob", "cyd"], { asked: "ada", on: ["ada", "bob"], by });
  expect(went).toEqual({ ...WENT_ON, machines: ["bob", "cyd"] });
});

test("an answer ends where its machine is drained and its model may go nowhere else", async () => {
  const by: Disturbance = (_all, url) =>
    fetch(`${url}/exo/v1/nodes/bob`, { method: "POST", body: JSON.stringify({ action: "drain" }) });
  const { machines: _, ...went } = await disturbed(["ada", "bob"], { asked: "ada", on: ["bob"], by });
  expect(went).toEqual(WENT_ON);
});
