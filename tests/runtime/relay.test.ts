/** Workers of different machines: real processes, real sockets to them, real TLS between their machines. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { ShardWorker, type ShardWorkerMessage } from "#protocol/shard-worker";
import { bytes, digest, ear } from "./ear.ts";
import { type Machine, pass, turn, type Worker, World } from "./relay-world.ts";

setDefaultTimeout(180_000);

/** Of a worker's turns, for a tensor to it and back: one moves some 200 kB by itself, which would be 40 there and 40 back. */
const TURNS_FEW = 20;
const ASKED_MAX = 40;

let world: World;
let [a, b]: readonly Machine[] = [];
beforeEach(async () => {
  world = new World();
});
afterEach(() => world.close());

const two = async () => {
  [a, b] = await world.two();
  return [a, b] as const;
};
/** Sends what must not be refused, and waits where it is. */
async function push(
  from: Machine,
  worker: Address,
  as: Address,
  [message, body]: readonly [AnyMessage, Uint8Array | undefined],
) {
  while (!from.system.send(worker, message, as, body)) await from.system.room(worker);
}

describe("what one worker passes to another's machine", () => {
  test("arrives whole and in its order, with bodies of all sizes and without, and so does what comes back", async () => {
    const [here, there] = await two();
    const [near, far] = [here.worker("worker-near"), there.worker("worker-far")];
    const { address, until } = ear(here, "asker");
    const sizes = [
      undefined,
      0,
      1,
      2304,
      undefined,
      32 * 1024,
      3_000_001,
      0,
      16 * 1024 * 1024,
      2304,
      undefined,
    ];
    const bodies = [...sizes, ...sizes].map((size, i) => (size === undefined ? undefined : bytes(size, i)));
    for (const [number, body] of bodies.entries())
      await push(here, near.address, address, [pass(number, far.address), body]);
    expect({ came: await until(bodies.length), refused: [...here.refused, ...there.refused] }).toEqual({
      came: bodies.map((body, number) => `worker-near ${number} ${digest(body)}`),
      refused: [],
    });
  });

  test("goes by one link for tensors in both directions", async () => {
    const [here, there] = await two();
    const [near, far] = [here.worker("worker-near"), there.worker("worker-far")];
    const { address, until } = ear(here, "asker");
    for (let number = 0; number < 5; number++) {
      here.system.send(near.address, pass(number, far.address), address, bytes(100, number));
      await until(number + 1);
    }
    expect([here.laneLinks.size, there.laneLinks.size]).toEqual([1, 1]);
  });

  test("reaches a worker of the same machine by the same name", async () => {
    const here = await world.machine();
    const [one, other] = [here.worker("worker-one"), here.worker("worker-other")];
    const { address, until } = ear(here, "asker");
    here.system.send(one.address, pass(0, other.address), address, bytes(5, 0));
    expect(await until(1)).toEqual([`worker-one 0 ${digest(bytes(5, 0))}`]);
  });
});

describe("a worker that does not read", () => {
  test("stops who sends to it, costs bounded memory on the way, and nothing is lost when it reads again", async () => {
    const [here, there] = await two();
    const far = there.worker("worker-far");
    const source = here.system.address("worker-source");
    const { heard, until } = ear(here, "worker-source");
    here.system.send(far.address, pass(0, "echo"), source, bytes(9, 0));
    await until(1);
    far.signal("SIGSTOP");
    const body = bytes(4 * 1024 * 1024, 1);
    let sent = 1;
    for (let quiet = 0; quiet < 200; quiet++) {
      for (; here.system.send(far.address, pass(sent, "echo"), source, body); sent++) quiet = 0;
      await turn();
    }
    far.signal("SIGCONT");
    await until(sent);
    expect({
      bounded: sent < 40,
      numbers: heard.map((line) => Number(line.split(" ")[1])),
    }).toEqual({ bounded: true, numbers: Array.from({ length: sent }, (_, number) => number) });
  });
});

describe("a worker that computes, and reads between two steps", () => {
  test("takes a large body and gives it back within a few of them", async () => {
    const here = await world.machine();
    const busy = here.worker("worker-busy");
    const numbers: number[] = [];
    const asker = here.system.spawn<ShardWorkerMessage>("asker", ({ message, body }) => {
      if (message.type === "ShardWorker.Pass" && digest(body) === digest(tensor))
        numbers.push(message.number);
    });
    const tensor = bytes(8 * 1024 * 1024, 3);
    const few = () => numbers.slice(1).some((after, at) => after - (numbers[at] ?? 0) < TURNS_FEW);
    // Each takes longer where this process waits for a core, never less.
    for (let asked = 0; asked < ASKED_MAX && !few(); asked++) {
      here.system.send(busy.address, pass(0, "turns"), asker, tensor);
      while (numbers.length <= asked) await turn();
    }
    expect(few()).toBe(true);
  });
});

describe("nobody speaks for others", () => {
  test("T27 a process is heard in its own name only, whatever it calls itself", async () => {
    const [here, there] = await two();
    const { heard: near, until } = ear(here, "api-gateway");
    const { heard: far } = ear(there, "worker-target");
    const evil = { send: () => true, onReceive: (_: object) => {}, onClose: () => {}, close: () => {} };
    here.system.adopt("worker-evil", "shard-worker", evil);
    const say = (from: string, to: string) =>
      evil.onReceive({ from, to, message: pass(near.length, "echo"), body: new Uint8Array(1) });
    for (const to of [`${here.id}/api-gateway`, `${there.id}/worker-target`])
      for (const from of [
        "worker-evil/other",
        "worker-good/shard-worker",
        `${here.id}/api-gateway`,
        `${here.id}/worker-evil`,
      ])
        say(from, to);
    say("worker-evil/shard-worker", `${here.id}/api-gateway`);
    await until(1);
    expect({ near, far }).toEqual({ near: [`worker-evil 0 ${digest(new Uint8Array(1))}`], far: [] });
  });

  test("T28 a pass to an actor that is no worker ends the link that brought it", async () => {
    const [here, there] = await two();
    const { heard } = ear(there, "supervisor");
    here.system.send(`${there.id}/supervisor` as Address, pass(0, "echo"), here.system.address("worker-x"));
    while (there.refused.length === 0) await turn();
    expect({ heard, refused: there.refused }).toEqual({
      heard: [],
      refused: ["ShardWorker.Pass is not for supervisor"],
    });
  });
});

describe("the end of a worker", () => {
  /** Who watches `watched`: an actor of its machine, one of the other machine, and a worker of the other machine. */
  async function watchers([here, there]: readonly [Machine, Machine], watched: Address, nears: Worker) {
    const ends: string[] = [];
    for (const machine of [here, there])
      machine.system.watch(watched, ({ how, why }) =>
        ends.push(`${machine === here ? "here" : "there"} ${how}: ${why}`),
      );
    const { address, heard, until } = ear(here, "asker");
    const group = { instance: "i", epoch: 1, stages: [watched], stage: 0 };
    here.system.send(nears.address, ShardWorker.Join({ group, replyTo: address }), address);
    await until(1);
    const all = async () => {
      while (ends.length < 2) await turn();
      return { ends: ends.toSorted(), worker: (await until(2))[1] };
    };
    return { all, heard, ends };
  }

  test("is told to who watches it on any machine, in any process", async () => {
    const [here, there] = await two();
    const [near, far] = [here.worker("worker-near"), there.worker("worker-far")];
    const { all } = await watchers([here, there], far.address, near);
    far.signal("SIGKILL");
    const why = "the worker was ended by SIGKILL, as systems do that run out of memory";
    expect(await all()).toEqual({
      ends: [`here lost: ${why}`, `there lost: ${why}`],
      worker: `lost: ${why}`,
    });
  });

  test("fails who asked it", async () => {
    const [here, there] = await two();
    const far = there.worker("worker-far");
    const local = there.system.ask(far.address, ShardWorker.Unload({}), there.system.address("me"), 50_000);
    far.signal("SIGKILL");
    expect(await local.catch(({ message }: Error) => message.replace(there.id, "there"))).toBe(
      "there/worker-far did not answer: the worker was ended by SIGKILL, as systems do that run out of memory",
    );
    expect(here.refused).toEqual([]);
  });

  test("is what the end of its machine's link is", async () => {
    const [here, there] = await two();
    const [near, far] = [here.worker("worker-near"), there.worker("worker-far")];
    const { ends, heard } = await watchers([here, there], far.address, near);
    here.part(there);
    while (ends.length < 1 || heard.length < 2) await turn();
    expect([ends, heard[1]]).toEqual([["here lost: the cable was pulled"], "lost: the cable was pulled"]);
  });
});
