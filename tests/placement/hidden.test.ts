/** How hidden state goes between stages, in a home whose log and machines are the test's. */
import { expect, test } from "bun:test";
import type { Address } from "#protocol/ids";
import type { PlacementWish } from "#protocol/placement";
import { ShardWorkerReply } from "#protocol/shard-worker";
import { me, placed } from "./model.ts";
import { Room } from "./room.ts";
import { World } from "./world.ts";

/** Machines whose exo knows hidden states in 8 bits, but for those of an older one. */
function homeOf(names: readonly string[], older: readonly string[] = []) {
  const world = new World(...names);
  for (const name of names) if (!older.includes(name)) world.machine(name).facts = { hidden: ["8bit"] };
  return world;
}

const BOTH: PlacementWish = { nodes: ["a", "b"], strategy: "pipeline" };
const sentBy = ({ instances: [record] }: World) =>
  record?.stages.map(({ node, hidden }) => [String(node), hidden]);

test("what is wished for, or set by who asks first, stands in the log for every stage, and nothing where nobody asks", async () => {
  const [wished, set, full, plain, ranks] = Array.from({ length: 5 }, () => homeOf(["a", "b"]));
  const settings = { kvQuant: "f16", hidden: "8bit" } as const;
  await wished?.place({ ...BOTH, hidden: "8bit" });
  await set?.place(BOTH, settings);
  await full?.place({ ...BOTH, hidden: "full" }, settings);
  await plain?.place(BOTH);
  await ranks?.place({ nodes: ["a"], hidden: "8bit" });
  const in8 = [
    ["a", "8bit"],
    ["b", "8bit"],
  ];
  const as = [
    ["a", undefined],
    ["b", undefined],
  ];
  expect([wished, set, full, plain, ranks].map((world) => world && sentBy(world))).toEqual([
    in8,
    in8,
    as,
    as,
    [["a", undefined]],
  ]);
});

test("a machine whose exo is too old for it takes no part, and is named; without it, it does", async () => {
  const [world, alone] = [homeOf(["a", "b", "c"], ["b"]), homeOf(["a", "b"], ["b"])];
  const wish = { minimumNodes: 2, strategy: "pipeline" } as const;
  const notes = await world.place({ ...wish, hidden: "8bit" });
  const refused = await alone.place({ ...wish, nodes: ["a", "b"], hidden: "8bit" });
  await alone.place({ ...wish, nodes: ["a", "b"] });
  const why = "b has an exo that is too old for hidden states in 8 bits (--hidden 8bit)";
  expect([notes, sentBy(world), refused, sentBy(alone)]).toEqual([
    [why],
    [
      ["a", "8bit"],
      ["c", "8bit"],
    ],
    expect.stringContaining(why),
    [
      ["a", undefined],
      ["b", undefined],
    ],
  ]);
});

test("where answers wait and what is left is too old for it, they go on without; it is sent so again when it can be", async () => {
  const world = homeOf(["a", "b", "c"], ["c"]);
  // Room for half of the model.
  for (const machine of world.machines.values()) machine.freeBytes = 650e6;
  const wish = { minimumNodes: 2, strategy: "pipeline", hidden: "8bit" } as const;
  await world.place(wish);
  for (const name of ["a", "b"]) world.machine(name).freeBytes = 450e6;
  const seen = [];
  for (const [dead, back] of [
    ["b", "c"],
    ["c", "b"],
  ] as const) {
    Object.assign(world.machine(back), { state: "up", freeBytes: 650e6 });
    await world.is(dead, "dead");
    await world.settle(20_000);
    seen.push([world.shown.split(" ")[0], sentBy(world)?.toSorted()]);
  }
  expect([seen, world.instances[0]?.wish]).toEqual([
    [
      [
        "ready",
        [
          ["a", undefined],
          ["c", undefined],
        ],
      ],
      [
        "ready",
        [
          ["a", "8bit"],
          ["b", "8bit"],
        ],
      ],
    ],
    wish,
  ]);
});

test("a model that is there goes on in 8 bits where that is wished for, on the same machines, and back", async () => {
  const world = homeOf(["a", "b"]);
  await world.place(BOTH);
  const seen = [];
  for (const hidden of ["8bit", "full"] as const)
    seen.push([await world.rebalance({ ...BOTH, hidden }), sentBy(world)]);
  expect(seen).toEqual([
    [
      true,
      [
        ["a", "8bit"],
        ["b", "8bit"],
      ],
    ],
    [
      true,
      [
        ["a", undefined],
        ["b", undefined],
      ],
    ],
  ]);
});

test("a stage is told how hidden state is sent on where all stages of that epoch are to send it so", async () => {
  const room = new Room();
  const { stages } = placed();
  const in8 = stages.map((stage) => ({ ...stage, hidden: "8bit" as const }));
  await room.agree(placed({ stages: in8 }));
  await room.loads();
  const workers = [room.workers[0]?.name, "other/worker-1"] as Address[];
  const joined = async (epoch: number) => {
    const asked = room.outcome(room.holder.join(me, { instance: "i", epoch, workers }));
    await room.says(ShardWorkerReply.Joined({ instance: "i", epoch }));
    return await asked;
  };
  const first = await joined(1);
  // Whoever wrote that knew it of one alone.
  const [mine, theirs] = [in8[0], stages[1]];
  await room.agree(placed({ stages: mine && theirs ? [mine, theirs] : [], epoch: 2 }));
  expect([first, await joined(2), ...room.did]).toEqual([
    "done",
    "done",
    "Load 1 0-2",
    "Join 1 1 in 8bit",
    "Join 1 2",
  ]);
});
