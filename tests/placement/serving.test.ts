/** What a machine does when its gateway asks for a model: alone, with others, and when they are gone. */
import { expect, test } from "bun:test";
import { type Acquiring, Serving, type ServingPorts } from "#actors/supervisor/placement/serving";
import type { Address, NodeId } from "#protocol/ids";
import { type PlacedInstance, PlacementReply } from "#protocol/placement";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";
import { facts } from "./model.ts";

const [me, other] = ["me" as NodeId, "other" as NodeId];
const WORKER = "other/worker-1" as Address;

const loading: PlacedInstance = {
  id: "i",
  model: "m",
  digest: "d",
  wish: {},
  settings: { kvQuant: "f16" },
  epoch: 1,
  state: "loading",
  stages: [
    { node: me, layers: { start: 0, end: 2 } },
    { node: other, layers: { start: 2, end: 4 } },
  ],
};
const ready: PlacedInstance = {
  ...loading,
  state: "ready",
  facts,
  stages: loading.stages.map((stage) => ({ ...stage, worker: `${stage.node}/worker-1` as Address })),
};

class House {
  readonly time = new VirtualTime();
  readonly did: string[] = [];
  instances: readonly PlacedInstance[] = [];
  others = 1;
  fits = true;
  isHeld = false;
  up = new Set<string>([me, other]);
  leader: NodeId | undefined = me;
  readonly #watched: Parameters<ServingPorts["watch"]>[1][] = [];
  readonly serving: Serving;

  constructor(change: Partial<Pick<House, "instances" | "others" | "fits" | "isHeld" | "leader">> = {}) {
    Object.assign(this, change);
    const ports: ServingPorts = {
      self: me,
      clock: this.time.clock(seeded(1)),
      agreed: () => ({
        leader: this.leader,
        leads: this.leader === me,
        term: 1,
        heard: 9,
        instances: this.instances,
        propose: () => Promise.reject(new Error("nobody proposes here")),
      }),
      changed: () => () => {},
      others: () => this.others,
      isUp: (node) => this.up.has(node),
      nameOf: (node) => node,
      own: async (model) => {
        this.did.push("looks on the disk");
        return { name: model, path: `/${model}` };
      },
      fits: () => this.fits,
      place: async (leader) => {
        this.did.push(`asks ${leader} to place it`);
        this.instances = [loading];
        return PlacementReply.Placed({ id: "i", epoch: 1, notes: ["third takes no part: drained"] });
      },
      release: async () => PlacementReply.Released({}),
      stateOf: () => undefined,
      abandon: async () => void this.did.push("gives up its own part"),
      watch: (_, told) => {
        this.#watched.push(told);
        return () => {};
      },
      lost: (worker, { message }, how) =>
        this.did.push(`${worker} lost: ${message}${how === "lost" ? "" : `, ${how}`}`),
    };
    this.serving = new Serving(ports);
  }

  acquire(wish?: PlacedInstance["wish"]) {
    const asked: Acquiring = { model: "m", isHeld: () => this.isHeld, ...(wish && { wish }) };
    return this.serving.acquire(asked).then(
      (answer) => answer?.worker ?? "by itself",
      (error: unknown) => (error as Error).message,
    );
  }

  /** Time passes, and what was promised comes about. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      await this.time.pass(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  breakLink(): void {
    for (const told of this.#watched) told({ how: "lost", why: "its link broke" });
  }
}

test("what one machine holds or can hold asks nobody, alone not even its own disk", async () => {
  const alone = new House({ others: 0 });
  const held = new House({ isHeld: true });
  const roomy = new House();
  expect([await alone.acquire(), await held.acquire(), await roomy.acquire()]).toEqual(
    Array(3).fill("by itself"),
  );
  expect([alone.did, held.did, roomy.did]).toEqual([[], [], ["looks on the disk"]]);
});

test("what does not fit here is placed by who leads, and answers once all of it is loaded", async () => {
  const house = new House({ fits: false });
  const asked = house.acquire();
  await house.pass(500);
  house.instances = [ready];
  await house.pass(500);
  expect([await asked, house.did]).toEqual([WORKER, ["looks on the disk", "asks me to place it"]]);
});

test("a model that lost a machine is waited for until it is placed anew, and its requests are told", async () => {
  const house = new House({ instances: [ready] });
  const before = await house.acquire();
  house.up.delete(other);
  house.serving.follow();
  const asked = house.acquire();
  await house.pass(3000);
  house.instances = [
    {
      ...ready,
      epoch: 2,
      stages: [{ ...ready.stages[0], worker: "me/worker-2" as Address }],
    } as PlacedInstance,
  ];
  await house.pass(200);
  expect([before, await asked, house.did.filter((each) => each.includes("lost"))]).toEqual([
    WORKER,
    "me/worker-2",
    ["other/worker-1 lost: the model went away: other is not there"],
  ]);
});

test("where nobody leads any more, a machine that can hold the model does so by itself", async () => {
  const [can, cannot] = [true, false].map((fits) => new House({ instances: [ready], fits, leader: other }));
  if (!can || !cannot) throw new Error("two houses");
  const answers = [can, cannot].map(async (house) => {
    house.up.delete(other);
    const asked = house.acquire();
    await house.pass(6000);
    return [await asked, house.did.at(-1), house.serving.states()[0]?.state];
  });
  expect(await Promise.all(answers)).toEqual([
    ["by itself", "gives up its own part", "failed"],
    ["m lost a machine, and too few that vote are up to place it anew", "gives up its own part", "failed"],
  ]);
});

test("a worker out of reach is told of, one that was stopped as stopped", async () => {
  const [broken, stopped] = [new House({ instances: [ready] }), new House({ instances: [ready] })];
  await Promise.all([broken.acquire(), stopped.acquire()]);
  broken.breakLink();
  await broken.pass(1000);
  stopped.breakLink();
  stopped.instances = [];
  stopped.serving.follow();
  await stopped.pass(1000);
  expect([broken, stopped].map(({ did }) => did.filter((each) => each.includes("lost")))).toEqual([
    ["other/worker-1 lost: the model went away: its link broke"],
    ["other/worker-1 lost: the model went away: it was stopped, stopped"],
  ]);
});

test("a wish is placed even where the model fits here, and says which machines take no part", async () => {
  const house = new House();
  const asked = house.serving.acquire({ model: "m", wish: { minimumNodes: 2 }, isHeld: () => true });
  await house.pass(200);
  house.instances = [ready];
  await house.pass(200);
  expect(await asked).toEqual({ worker: WORKER, facts, notes: ["third takes no part: drained"] });
});
