/** What passes through a node between others: workers and lanes that are played by lists. */
import { describe, expect, test } from "bun:test";
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { Runtime, type RuntimeMessage } from "#protocol/runtime";
import { ShardWorker } from "#protocol/shard-worker";
import { systemClock } from "./clock.ts";
import { ActorSystem } from "./system.ts";
import { telling } from "./telling.ts";
import { Trace } from "./trace.ts";
import type { Transport } from "./transport/transport.ts";

const MIB = 1024 * 1024;

/** A way that takes what `takes` says, and keeps its numbers. */
class Way implements Transport {
  onReceive: (envelope: Envelope, isLent?: boolean) => void = () => {};
  onClose: (reason: string) => void = () => {};
  onDrain: () => void = () => {};
  readonly sent: number[] = [];
  /** `pause` and `resume`, as they were called. */
  readonly calls: string[] = [];
  takes = (_: Envelope): boolean => true;

  send(envelope: Envelope): boolean {
    const isTaken = this.takes(envelope);
    if (isTaken) this.sent.push((envelope.message as { number?: number }).number ?? -1);
    return isTaken;
  }
  pause(): void {
    this.calls.push("pause");
  }
  resume(): void {
    this.calls.push("resume");
  }
  close(): void {}
  /** As it was, and what waited may go. */
  drain(): void {
    this.takes = () => true;
    this.onDrain();
  }
}

/** A node with a lane from another, and workers. */
function node(...workers: readonly string[]) {
  const trace = new Trace({ nowMs: () => 0 });
  const system = new ActorSystem("home", systemClock, { trace });
  const [link, lane] = [new Way(), new Way()];
  system.connect("far", link, lane);
  const ways = workers.map((name) => {
    const way = new Way();
    system.adopt(name, "shard-worker", way);
    return way;
  });
  const say = (from: string, to: string, number: number, body?: Uint8Array) =>
    lane.onReceive({
      from: from as Address,
      to: to as Address,
      message: ShardWorker.Pass({ instance: "i", epoch: 1, number, ops: [], feeds: [], wanted: "last" }),
      ...(body && { body }),
    });
  const dropped = () => trace.entries.filter(({ kind }) => kind === "dropped").map(({ actor }) => actor);
  return { system, link, lane, ways, say, dropped };
}

const failed = (number: number) =>
  ShardWorker.PassFailed({
    ...{ instance: "i", epoch: 1, number },
    problem: { kind: "unavailable", message: "it was refused" },
  });

const tooLong = (): never => {
  throw new ProtocolError("over the limit of its link");
};

describe("what is too long to be handed on", () => {
  test("is dropped and counted, and who sent it is not blamed", () => {
    const { ways, say, dropped } = node("worker-a");
    const [way = new Way()] = ways;
    way.takes = tooLong;
    say("far/worker-x", "home/worker-a", 0, new Uint8Array(9));
    way.takes = () => true;
    say("far/worker-x", "home/worker-a", 1, new Uint8Array(9));
    expect({ sent: way.sent, dropped: dropped() }).toEqual({ sent: [1], dropped: ["home/worker-a"] });
  });

  test("is dropped as well where it had to wait, and what waited behind it goes on", () => {
    const { ways, say, dropped } = node("worker-a");
    const [way = new Way()] = ways;
    way.takes = () => false;
    for (const number of [0, 1, 2]) say("far/worker-x", "home/worker-a", number, new Uint8Array(number));
    way.takes = ({ body }) => body?.length !== 1 || tooLong();
    way.onDrain();
    expect({ sent: way.sent, dropped: dropped() }).toEqual({ sent: [0, 2], dropped: ["home/worker-a"] });
  });
});

describe("what waits for a link that was full", () => {
  const waiting = (...numbers: readonly number[]) => {
    const { system, ways, dropped } = node("worker-a");
    const [way = new Way()] = ways;
    way.takes = () => false;
    for (const number of numbers)
      system.send("home/worker-a" as Address, failed(number), "home/me" as Address);
    return { system, way, dropped };
  };

  test("is dropped where it is too long, and what is behind it goes on", () => {
    const { way, dropped } = waiting(1, 2);
    way.takes = ({ message }) => (message as { number?: number }).number !== 1 || tooLong();
    way.onDrain();
    expect({ sent: way.sent, dropped: dropped() }).toEqual({
      sent: [2],
      dropped: ["worker-a/shard-worker"],
    });
  });

  test("is not overtaken by its like that comes when there is room, before that is told", () => {
    const { system, way } = waiting(1);
    way.takes = () => true;
    system.send("home/worker-a" as Address, failed(2), "home/me" as Address);
    way.onDrain();
    expect(way.sent).toEqual([1, 2]);
  });
});

describe("a lane that brings more than its receivers take", () => {
  test("is read again when all of them take more, not at the first", () => {
    const { lane, ways, say } = node("worker-a", "worker-b");
    const calls: number[] = [];
    for (const way of ways) way.takes = () => false;
    for (const to of ["home/worker-a", "home/worker-b", "home/worker-a"]) say("far/worker-x", to, 0);
    for (const way of ways) {
      way.drain();
      calls.push(lane.calls.length);
    }
    expect({ lane: lane.calls, calls, sent: ways.map(({ sent }) => sent.length) }).toEqual({
      lane: ["pause", "resume"],
      calls: [1, 2],
      sent: [2, 1],
    });
  });

  test("is read again when the receiver that held it up has ended", () => {
    const { system, lane, ways, say } = node("worker-a", "worker-b");
    for (const way of ways) way.takes = () => false;
    for (const to of ["home/worker-a", "home/worker-b"]) say("far/worker-x", to, 0);
    for (const name of ["home/worker-a", "home/worker-b"]) system.disown(name as Address, "it ended");
    expect(lane.calls).toEqual(["pause", "resume"]);
  });

  test("costs 64 MiB for each of them at most, whatever comes", () => {
    const { ways, say, dropped } = node("worker-a");
    const [way = new Way()] = ways;
    way.takes = () => false;
    for (let number = 0; number < 100; number++)
      say("far/worker-x", "home/worker-a", number, new Uint8Array(MIB));
    way.drain();
    expect({ sent: way.sent.length, dropped: dropped().length }).toEqual({ sent: 64, dropped: 36 });
  });
});

describe("who is refused", () => {
  test("is told whether there will be room, and when, or whether nobody is there", async () => {
    const { system, lane, ways } = node("worker-a");
    const [way = new Way()] = ways;
    const small = system.spawn("small", () => {}, { mailbox: 1, whenFull: "backpressure" });
    const tell = telling(system, "home/me" as Address);
    for (const each of [lane, way]) each.takes = () => false;
    const order = ShardWorker.Pass({
      instance: "i",
      epoch: 1,
      number: 0,
      ops: [],
      feeds: [],
      wanted: "last",
    });
    const said = [small, small, "home/worker-a", "far/worker-x", "home/nobody", "elsewhere/worker"].map(
      (to) => tell(to as Address, order),
    );
    const names = ["first", "small", "worker-a", "worker-x"];
    const roomy: string[] = [];
    for (const [at, sent] of said.entries())
      if (typeof sent === "object") void sent.full.then(() => roomy.push(names[at] ?? ""));
    const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
    await turn();
    const before = roomy.splice(0);
    for (const each of [lane, way]) each.drain();
    await turn();
    expect({ said: said.map((sent) => (typeof sent === "object" ? "full" : sent)), before, roomy }).toEqual({
      said: ["taken", "full", "full", "full", "gone", "gone"],
      before: ["small"],
      roomy: ["worker-x", "worker-a"],
    });
  });
});

describe("that a pass failed", () => {
  /** Of a worker here to one of another machine. */
  const says = (way: Way | undefined, number: number) =>
    way?.onReceive({
      from: "worker-a/shard-worker" as Address,
      to: "far/worker-x" as Address,
      message: failed(number),
    });

  test("waits where the link is full, and goes on with it, as nobody asks for it again", () => {
    const { link, lane, ways } = node("worker-a");
    for (const each of [link, lane]) each.takes = () => false;
    for (const number of [1, 2]) says(ways[0], number);
    lane.drain();
    const before = link.sent.length;
    link.drain();
    link.drain();
    expect([before, link.sent, lane.sent, ways[0]?.calls]).toEqual([0, [1, 2], [], []]);
  });

  test("waits in a worker too, whose one way is full", async () => {
    const [system, way] = [new ActorSystem("worker-a", systemClock), new Way()];
    system.connectParent("home", way);
    const tell = telling(system, "worker-a/shard-worker" as Address);
    way.takes = () => false;
    const said = tell("far/worker-x" as Address, failed(1));
    way.drain();
    expect([said, way.sent]).toEqual(["taken", [1]]);
  });

  test("goes by the link that replaces the full one, and is lost with the machine", () => {
    const replaced = [true, false].map((isLinked) => {
      const { system, link, ways } = node("worker-a");
      link.takes = () => false;
      says(ways[0], 1);
      if (!isLinked) system.disconnect("far");
      const next = new Way();
      system.connect("far", next);
      return next.sent;
    });
    expect(replaced).toEqual([[1], []]);
  });

  test("is kept so often and no more, whatever comes", () => {
    const { link, ways, dropped } = node("worker-a");
    link.takes = () => false;
    for (let number = 0; number < 1000; number++) says(ways[0], number);
    link.drain();
    expect([link.sent.length, dropped().length]).toEqual([256, 744]);
  });
});

test("that an actor ended waits where the link is full, as who watches it is told once", () => {
  const { system, link } = node();
  const end = system.spawn("worker", () => {});
  const far = (message: RuntimeMessage) =>
    link.onReceive({ from: "far/system" as Address, to: "home/system" as Address, message });
  far(Runtime.Watch({ actor: "home/worker" as Address, watch: 7 }));
  const told: string[] = [];
  link.takes = ({ message }) => told.push(JSON.stringify(message)) < 0;
  system.stop(end);
  link.takes = ({ message }) => told.push((message as RuntimeMessage).type) > 0;
  link.onDrain();
  expect(told.slice(1)).toEqual(["Runtime.Down"]);
});

describe("a lane that breaks", () => {
  test("is told of to who watches those that spoke by it last, however many did before", () => {
    const { system, lane, say } = node("worker-a");
    const ends: string[] = [];
    for (let epoch = 0; epoch < 3000; epoch++) {
      say(`far/worker-${epoch}`, "home/worker-a", epoch);
      say("far/worker-steady", "home/worker-a", epoch);
    }
    for (const name of ["worker-0", "worker-2999", "worker-steady"])
      system.watch(`far/${name}` as Address, ({ how, why }) => ends.push(`${name} ${how}: ${why}`));
    lane.onClose("it broke");
    expect(ends.toSorted()).toEqual(["worker-2999 lost: it broke", "worker-steady lost: it broke"]);
  });
});
