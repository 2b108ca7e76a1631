/** Who may have tensors for whom: real TLS between machines, real links. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import type { Address } from "#protocol/ids";
import { ShardWorker } from "#protocol/shard-worker";
import { bytes, digest, ear } from "./ear.ts";
import { type Machine, pass, turn, World } from "./relay-world.ts";

setDefaultTimeout(180_000);

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

const body = bytes(9, 0);
const send = (from: Machine, to: Address, number: number) =>
  from.system.send(to, pass(number, "echo"), from.system.address("worker-x"), body);

test("T28 a pass from a machine that computes no model with that worker is passed over, and its link stays", async () => {
  const [here, there] = await world.two();
  const third = await world.machine();
  await third.join(there);
  const named = (name: string) => ear(there, `worker-${name}`);
  const [own, shared, fresh, thirds] = [named("own"), named("shared"), named("fresh"), named("thirds")];
  const stage = (machine: Machine, worker?: Address) => ({
    node: machine.id,
    layers: { start: 0, end: 1 },
    ...(worker && { worker }),
  });
  there.placed = [
    { stages: [stage(there, own.address)] },
    { stages: [stage(here), stage(there, shared.address)] },
    { stages: [stage(third), stage(there, thirds.address)] },
  ];
  for (const { address } of [own, fresh, shared]) send(here, address, 1);
  for (const { address } of [own, shared, thirds]) send(third, address, 2);
  await Promise.all([shared.until(1), thirds.until(1)]);
  expect({
    heard: [own, shared, fresh, thirds].map(({ heard }) => heard),
    links: there.laneLinks.size,
    refused: there.refused,
  }).toEqual({
    // Which worker has the layers of a placement that is not ready yet is not agreed: those of both machines pass.
    heard: [
      [],
      [`worker-x 1 ${digest(body)}`],
      [`worker-x 1 ${digest(body)}`],
      [`worker-x 2 ${digest(body)}`],
    ],
    links: 2,
    refused: [],
  });
});

test("T28 a machine that is there to compute passes on what it computed, and says what it could not", async () => {
  const [here, there] = await world.two();
  for (const [one, other] of [
    [here, there],
    [there, here],
  ] as const)
    one.roles.set(other.id, "worker");
  const { address, until } = ear(there, "worker-y");
  const problem = { kind: "unavailable", message: "no room" } as const;
  const failed = ShardWorker.PassFailed({ instance: "i", epoch: 1, number: 2, problem });
  send(here, address, 1);
  await until(1);
  here.system.send(address, failed, here.system.address("worker-x"));
  expect({ heard: await until(2), refused: there.refused }).toEqual({
    heard: [`worker-x 1 ${digest(body)}`, "no room"],
    refused: [],
  });
});

test("T28 that a pass has failed is a worker's to say: who else does loses its link", async () => {
  const [here, there] = await world.two();
  const { address, heard } = ear(there, "worker-y");
  const problem = { kind: "unavailable", message: "no room" } as const;
  const failed = ShardWorker.PassFailed({ instance: "i", epoch: 1, number: 2, problem });
  here.system.send(address, failed, here.system.address("supervisor"));
  while (there.refused.length === 0) await turn();
  expect({ heard, refused: there.refused }).toEqual({
    heard: [],
    refused: ["ShardWorker.PassFailed is not for supervisor to say"],
  });
});
