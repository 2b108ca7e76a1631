/** Members of one home, on virtual time: who is seen as what, and how soon. */
import { describe, expect, test } from "bun:test";
import { Peers } from "#actors/discovery/peers";
import type { DiscoveryMessage } from "#protocol/discovery";
import type { NodeId } from "#protocol/ids";
import { endpointOf, SimulatedWire } from "./network.ts";
import { seeded } from "./random.ts";
import { VirtualTime } from "./time.ts";

const never = new Promise<boolean>(() => {});
const NAMES = ["a", "b", "c", "d"] as NodeId[];

class Home {
  readonly time = new VirtualTime();
  readonly random: () => number;
  readonly wire: SimulatedWire;
  readonly peers = new Map<NodeId, Peers>();
  /** Questions to a kernel of which a packet is lost: a system waits a second before it asks again (RFC 6298). */
  lostProbes = 0;
  /** Of whom members told each other where they are, and who did. */
  readonly passedOn: { readonly by: NodeId; readonly about: NodeId }[] = [];
  #boots = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
    this.wire = new SimulatedWire(this.time, this.random);
  }

  start(node: NodeId): void {
    this.#boots += 1;
    const network = this.wire.attach(node, String(this.#boots));
    const peers: Peers = new Peers({
      self: node,
      clock: this.time.clock(this.random),
      network,
      probe: ({ host }) => (this.lostProbes-- > 0 ? never : this.wire.probe(node, host as NodeId)),
      linked: (_, link) => {
        link.onReceive = ({ message, from }) =>
          this.#hear(peers, from.slice(0, from.indexOf("/")) as NodeId, message as DiscoveryMessage);
      },
      unlinked: () => {},
      changed: () => {},
      saidMs: () => Number.NEGATIVE_INFINITY,
      here: () => [],
      located: () => {},
    });
    network.onLink = (link) => peers.accept(link);
    this.peers.set(node, peers);
    peers.setMembers(NAMES);
    for (const other of NAMES) peers.learn(other, endpointOf(other));
    peers.start();
  }

  #hear(peers: Peers, sender: NodeId, message: DiscoveryMessage): void {
    switch (message.type) {
      case "Discovery.Goodbye":
        peers.goodbye(sender);
        break;
      case "Discovery.Beat":
        peers.heard(sender);
        break;
      case "Discovery.Missed":
        peers.missed(sender, message.node);
        break;
      case "Discovery.Heard":
        peers.heardElsewhere(message.node);
        break;
      case "Discovery.Here":
        peers.located(sender, [endpointOf(sender)]);
        break;
      case "Discovery.Known":
        this.passedOn.push({ by: sender, about: message.node });
    }
  }

  /** What each node thinks of each other one: `a sees b` to its state. */
  views(): Record<string, string> {
    const lines = [...this.peers].flatMap(([self, peers]) =>
      peers.all.map(({ node, state }) => [`${self}>${node}`, state] as const),
    );
    return Object.fromEntries(lines);
  }

  seen(node: string): string[] {
    return [
      ...new Set(
        [...this.peers.values()].flatMap(({ all }) =>
          all.filter((peer) => peer.node === node).map(({ state }) => state),
        ),
      ),
    ];
  }
}

async function home(seed = 7): Promise<Home> {
  const made = new Home(seed);
  for (const node of NAMES) made.start(node);
  await made.time.pass(3000);
  return made;
}

const allUp = Object.fromEntries(
  NAMES.flatMap((a) => NAMES.filter((b) => b !== a).map((b) => [`${a}>${b}`, "up"])),
);

describe("members of a home", () => {
  test("see each other soon after their start", async () => {
    expect((await home()).views()).toEqual(allUp);
  });

  test("see a killed process as dead within 2 seconds, and alive again after its restart", async () => {
    const made = await home();
    made.wire.kill("b" as NodeId);
    made.peers.get("b" as NodeId)?.stop();
    made.peers.delete("b" as NodeId);
    await made.time.pass(2000);
    const dead = made.seen("b");
    made.start("b" as NodeId);
    await made.time.pass(4000);
    expect({ dead, after: made.views() }).toEqual({ dead: ["dead"], after: allUp });
  });

  test("see a machine whose cable was pulled as dead within 3 seconds", async () => {
    const made = await home();
    made.wire.unplug("c" as NodeId);
    made.peers.delete("c" as NodeId);
    await made.time.pass(3000);
    expect(made.seen("c")).toEqual(["dead"]);
  });

  test("take none for dead while a fifth of the packets is lost", async () => {
    const made = await home();
    Object.assign(made.wire.weather, { loss: 0.2, delayMs: 2, jitterMs: 20 });
    const dead = new Set<string>();
    for (let second = 0; second < 600; second++) {
      await made.time.pass(1000);
      for (const [pair, state] of Object.entries(made.views())) if (state === "dead") dead.add(pair);
    }
    expect([...dead]).toEqual([]);
  });

  test("take none for dead whose stream stands still while the first packets of a question to its kernel are lost", async () => {
    const made = await home();
    made.lostProbes = 2;
    const [a, b] = ["a", "b"] as [NodeId, NodeId];
    for (const other of ["c", "d"] as NodeId[]) made.wire.unplug(other);
    const seen = new Set<string>();
    made.wire.clog(b, a, 30_000);
    await made.time.pass(500);
    made.wire.heal();
    for (let step = 0; step < 400; step++) {
      await made.time.pass(10);
      const state = made.views()["a>b"];
      if (state) seen.add(state);
    }
    expect({ seen: [...seen].toSorted(), after: made.views()["a>b"] }).toEqual({
      seen: ["suspect", "up"],
      after: "up",
    });
  });

  test("take none for dead whose link broke and cannot be made again, while others hear it", async () => {
    const made = await home();
    const [a, b] = ["a", "b"] as [NodeId, NodeId];
    made.wire.cut(a, b);
    made.wire.cut(b, a);
    for (const link of [...made.wire.links])
      if (link.self === a && link.peer.node === b) link.breakNow("the connection was reset");
    const seen = new Set<string>();
    for (let step = 0; step < 500; step++) {
      await made.time.pass(10);
      const state = made.views()["a>b"];
      if (state) seen.add(state);
    }
    made.wire.heal();
    await made.time.pass(5000);
    expect({ seen: [...seen], after: made.views() }).toEqual({ seen: ["suspect"], after: allUp });
  });

  test("link anew where only the stream stands still, as TCP waits long after losses, however well the network is", async () => {
    const made = await home();
    const [a, b] = ["a", "b"] as [NodeId, NodeId];
    made.wire.clog(a, b, 30_000);
    await made.time.pass(500);
    made.wire.heal();
    await made.time.pass(5000);
    expect(made.views()).toEqual(allUp);
  });

  test("T3 lose no time to addresses where others answer, as beacons that are played again from there claim", async () => {
    const made = await home();
    const [a, b] = ["a", "b"] as [NodeId, NodeId];
    for (const other of [a, "c", "d"] as NodeId[]) {
      made.wire.cut(other, b);
      made.wire.cut(b, other);
    }
    await made.time.pass(6000);
    for (const liar of ["c", "d"] as NodeId[])
      for (const [at, about] of [
        [a, b],
        [b, a],
      ] as const)
        made.peers.get(at)?.learn(about, endpointOf(liar));
    await made.time.pass(5000);
    made.wire.heal();
    await made.time.pass(5000);
    const after = made.views();
    const known = made.peers
      .get(a)
      ?.all.find(({ node }) => node === b)
      ?.endpoints.map(({ host }) => host);
    expect({ after, known }).toEqual({ after: allUp, known: ["b"] });
  });

  test("tell the others where a member is once, and not again when it links from the same place", async () => {
    const made = await home();
    const first = made.passedOn.filter(({ about }) => about === "b").length;
    made.wire.kill("b" as NodeId);
    made.peers.get("b" as NodeId)?.stop();
    made.peers.delete("b" as NodeId);
    await made.time.pass(2000);
    made.passedOn.length = 0;
    made.start("b" as NodeId);
    await made.time.pass(4000);
    const again = made.passedOn.filter(({ about }) => about === "b").length;
    expect({ isTold: first > 0, again, after: made.views() }).toEqual({
      isTold: true,
      again: 0,
      after: allUp,
    });
  });

  test("tell one that was linked while a member was away where that is, once it is back at the same place", async () => {
    const made = await home();
    const kill = (name: string) => {
      made.wire.kill(name as NodeId);
      made.peers.get(name as NodeId)?.stop();
      made.peers.delete(name as NodeId);
    };
    kill("b");
    kill("c");
    await made.time.pass(2000);
    made.start("c" as NodeId);
    await made.time.pass(4000);
    made.passedOn.length = 0;
    made.start("b" as NodeId);
    await made.time.pass(4000);
    const told = new Set<string>(made.passedOn.filter(({ about }) => about === "b").map(({ by }) => by));
    expect({ told: [...told].sort(), after: made.views() }).toEqual({ told: ["a", "c", "d"], after: allUp });
  });

  test("let one go that says goodbye", async () => {
    const made = await home();
    made.peers.get("d" as NodeId)?.stop();
    made.peers.delete("d" as NodeId);
    await made.time.pass(200);
    expect(made.seen("d")).toEqual(["away"]);
  });
});
