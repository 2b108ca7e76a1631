/** The link for tensors between two machines, when it breaks: real TLS, real workers. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { watchedAnew } from "#actors/runtime/watches";
import { ShardWorker } from "#protocol/shard-worker";
import { bytes, ear } from "./ear.ts";
import { type Machine, pass, turn, World } from "./relay-world.ts";

setDefaultTimeout(180_000);

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

describe("a link for tensors that breaks", () => {
  const generic = (text: string, ...machines: readonly Machine[]) =>
    machines.reduce((said, { id }, at) => said.replaceAll(id.slice(0, 8), `machine ${at}`), text);

  test("is told to who watches those that spoke by it, and dialled anew by what is sent next", async () => {
    const [here, there] = await world.two();
    const [near, far, idle] = [
      here.worker("worker-near"),
      there.worker("worker-far"),
      there.worker("worker-idle"),
    ];
    const { address, until } = ear(here, "asker");
    here.system.send(near.address, pass(0, far.address), address, bytes(9, 0));
    await until(1);
    const ends: string[] = [];
    for (const [machine, watched] of [
      [here, far],
      [here, idle],
      [there, near],
    ] as const)
      machine.system.watch(watched.address, ({ how, why }) =>
        ends.push(generic(`${watched.address.split("/")[1]} ${how}: ${why}`, here, there)),
      );
    for (const link of there.laneLinks) link.close();
    while (ends.length < 2) await turn();
    here.system.send(near.address, pass(1, far.address), address, bytes(9, 1));
    await until(2);
    expect({ ends: ends.toSorted(), links: here.laneLinks.size }).toEqual({
      ends: [
        "worker-far lost: the link for tensors to machine 1 broke: closed",
        "worker-near lost: the link for tensors to machine 0 broke: closed",
      ],
      links: 2,
    });
  });

  test("leaves who spoke by it to be watched anew, here and in a worker's process, until its end", async () => {
    const [here, there] = await world.two();
    const [near, far] = [here.worker("worker-near"), there.worker("worker-far")];
    const { address, heard, until } = ear(here, "asker");
    here.system.send(near.address, pass(0, far.address), address, bytes(9, 0));
    await until(1);
    const ends: string[] = [];
    const short = (why: string) => generic(why, here, there);
    watchedAnew(here.system, far.address, ({ why, lane }) => ends.push(`${lane ?? false} ${short(why)}`));
    const group = { instance: "i", epoch: 1, stages: [far.address], stage: 0 };
    here.system.send(near.address, ShardWorker.Join({ group, replyTo: address }), address);
    await until(2);
    for (const link of there.laneLinks) link.close();
    await until(3);
    far.signal("SIGKILL");
    await until(4);
    while (ends.length < 2) await turn();
    const broke = "the link for tensors to machine 1 broke: closed";
    const killed = "the worker was ended by SIGKILL, as systems do that run out of memory";
    expect({ ends, worker: heard.slice(2).map(short) }).toEqual({
      ends: [`true ${broke}`, `false ${killed}`],
      worker: [`lane lost: ${broke}`, `lost: ${killed}`],
    });
  });

  test("outlives a link for heartbeats that is replaced, and is told of as before", async () => {
    const [here, there] = await world.two();
    const [near, far] = [here.worker("worker-near"), there.worker("worker-far")];
    const { address, until } = ear(here, "asker");
    const go = async (number: number) => {
      here.system.send(near.address, pass(number, far.address), address, bytes(9, 0));
      await until(number + 1);
    };
    await go(0);
    await here.join(there);
    await go(1);
    const ends: string[] = [];
    here.system.watch(far.address, ({ how }) => ends.push(how));
    const links = here.laneLinks.size;
    for (const link of there.laneLinks) link.close();
    while (ends.length < 1) await turn();
    expect({ links, ends }).toEqual({ links: 1, ends: ["lost"] });
  });

  test("and cannot be opened is given up after three tries, and who watches is told", async () => {
    const [here, there] = await world.two();
    const far = there.worker("worker-far");
    const source = here.system.address("worker-source");
    there.deaf = true;
    const ends: string[] = [];
    here.system.watch(far.address, ({ how, why }) => ends.push(generic(`${how}: ${why}`, here, there)));
    const taken: boolean[] = [];
    for (let number = 0; number < 4; number++)
      taken.push(here.system.send(far.address, pass(number, "echo"), source, bytes(3_000_000, 0)));
    while (ends.length < 1) await turn();
    there.deaf = false;
    const { until } = ear(here, "worker-source");
    here.system.send(far.address, pass(9, "echo"), source);
    expect({ taken, ends, later: await until(1) }).toEqual({
      taken: [true, true, false, false],
      ends: [
        expect.stringMatching(/^lost: no link for tensors to machine 1: .*127\.0\.0\.1:1 does not answer/),
      ],
      later: ["worker-far 9 none"],
    });
  });
});
