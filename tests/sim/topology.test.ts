/** Topology of a few nodes on virtual time: real actors, simulated links. */
import { expect, test } from "bun:test";
import { ActorSystem } from "#actors/runtime/system";
import type { Link } from "#actors/runtime/transport/network";
import { type TopologyFace, topology } from "#actors/topology/index";
import type { Machine } from "#actors/topology/probes/machine";
import type { NodeId } from "#protocol/ids";
import { endpointOf, type SimNetwork, SimulatedWire } from "./network.ts";
import { seeded } from "./random.ts";
import { VirtualTime } from "./time.ts";

interface Node {
  readonly id: NodeId;
  readonly face: TopologyFace;
  readonly network: SimNetwork;
  readonly links: Map<NodeId, Link>;
  readonly system: ActorSystem;
  busy: boolean;
  freeBytes: number;
  /** Messages of facts that came. */
  heard: number;
}

interface World {
  readonly time: VirtualTime;
  readonly wire: SimulatedWire;
  readonly nodes: readonly Node[];
  /** Bursts that ran at each moment one began. */
  readonly together: number[];
}

async function world(count: number): Promise<World> {
  const time = new VirtualTime();
  const random = seeded(count);
  const wire = new SimulatedWire(time, random);
  const running = new Set<NodeId>();
  const together: number[] = [];
  const nodes: Node[] = [];
  for (let at = 0; at < count; at++) {
    const id = `n${at}` as NodeId;
    const network = wire.attach(id, `boot${at}`);
    const system = new ActorSystem(id, time.clock(random));
    const node = { id, network, system, links: new Map(), busy: false, freeBytes: 8e9, heard: 0 } as Omit<
      Node,
      "face"
    >;
    const openData = async (to: NodeId, signal: AbortSignal) => {
      for (const each of [id, to]) running.add(each);
      together.push(running.size / 2);
      const link = await network.dial(endpointOf(to), { lane: "data", signal });
      return Object.assign(link, { close: ended(link, () => [id, to].map((each) => running.delete(each))) });
    };
    const face = topology(system, {
      self: id,
      machine: machineOf(node),
      name: id,
      version: "0.1.0",
      modelsFolder: "/models",
      openData,
      busy: async () => node.busy,
      changed: () => {},
    });
    nodes.push(Object.assign(node, { face }));
    network.onLink = (link) =>
      link.lane === "data" ? takeBodies(link, face) : join(nodes[at] as Node, link);
  }
  return { time, wire, nodes, together };
}

const ended = (link: Link, then: () => void) => {
  const close = link.close.bind(link);
  return () => {
    then();
    close();
  };
};

function takeBodies(link: Link, face: TopologyFace): void {
  link.onBody = (envelope, bytes) => {
    if (!face.body(envelope, bytes)) link.close();
  };
}

function join(node: Node, link: Link): void {
  node.links.set(link.peer.node, link);
  node.face.linkUp(link);
  node.system.connect(link.peer.node, link);
  const receive = link.onReceive;
  link.onReceive = (envelope) => {
    if (envelope.message.type === "Topology.Facts") node.heard += 1;
    receive(envelope);
  };
  link.onClose = () => node.face.linkDown(link.peer.node);
}

const machineOf = (node: { readonly freeBytes: number }): Machine => ({
  platform: "simulated",
  arch: "x64",
  release: "1",
  read: () => undefined,
  list: () => [],
  run: async () => undefined,
  addresses: () => [{ interface: "eth0", address: "10.0.0.1", netmask: "255.0.0.0", internal: false }],
  processors: () => ({ model: "chip", count: 4, time: { busy: 0, total: 0 } }),
  memoryBytes: () => 16e9,
  freeBytes: () => node.freeBytes,
  diskFreeBytes: async () => 1e12,
});

async function link(from: Node, to: Node): Promise<void> {
  const { signal } = new AbortController();
  join(from, await from.network.dial(endpointOf(to.id), { lane: "control", signal }));
}

/** All pairs, dialled by the smaller id. */
async function linked(count: number): Promise<World> {
  const made = await world(count);
  const { nodes, time } = made;
  const links = nodes.flatMap((from, i) => nodes.slice(i + 1).map((to) => link(from, to)));
  await time.pass(100);
  await Promise.all(links);
  return made;
}

const pairs = ({ face }: Node) =>
  face
    .graph()
    .links.map(({ from, to, bytesPerSecond }) => `${from}>${to}${bytesPerSecond ? " measured" : ""}`);

test("within two seconds every node has the facts of all, and the latency of every link", async () => {
  const { time, nodes } = await linked(4);
  await time.pass(2500);
  const seen = nodes.map(({ face }) => face.graph());
  expect(seen.map((graph) => [graph.nodes.length, graph.links.length])).toEqual(nodes.map(() => [4, 12]));
  const latencies = (seen[0]?.links ?? []).map(({ latencyMs = 99 }) => latencyMs);
  expect(latencies.every((ms) => ms >= 2 && ms <= 5)).toBe(true);
});

test("every new link is measured, and no node is in two measurements at once", async () => {
  const { time, nodes, together } = await linked(4);
  await time.pass(120_000);
  const [first] = nodes as [Node];
  expect([
    pairs(first).filter((pair) => pair.endsWith("measured")).length,
    Math.max(...together) <= 2,
  ]).toEqual([12, true]);
  const before = together.length;
  await time.pass(3_600_000);
  expect(together.length).toBe(before);
});

test("while a node works nobody measures its links; when it rests, they do", async () => {
  const { time, nodes } = await linked(2);
  const [worker, other] = nodes as [Node, Node];
  worker.busy = true;
  await time.pass(600_000);
  const working = pairs(other);
  worker.busy = false;
  await time.pass(400_000);
  expect([working, pairs(other)]).toEqual([
    ["n0>n1", "n1>n0"],
    ["n0>n1 measured", "n1>n0 measured"],
  ]);
});

test("asked to, all links are measured again, one after the other", async () => {
  const { time, nodes, together } = await linked(3);
  await time.pass(120_000);
  const before = together.length;
  const [first] = nodes as [Node];
  let done = false;
  void first.face.measure().then(() => {
    done = true;
  });
  await time.pass(20_000);
  expect([done, together.length - before, Math.max(...together.slice(before))]).toEqual([true, 6, 1]);
});

test("a node at rest tells its facts each half minute; news goes out at most each two seconds", async () => {
  const { time, nodes } = await linked(2);
  const [teller, listener] = nodes as [Node, Node];
  await time.pass(60_000);
  let before = listener.heard;
  await time.pass(300_000);
  const atRest = listener.heard - before;
  before = listener.heard;
  for (let second = 0; second < 40; second++) {
    teller.freeBytes = second % 12 < 6 ? 1e9 : 8e9;
    await time.pass(1000);
  }
  expect([atRest, listener.heard - before <= 21, listener.heard - before >= 4]).toEqual([10, true, true]);
});

test("a link that breaks is shown no more; the facts of its node stay until it is forgotten", async () => {
  const { time, wire, nodes } = await linked(3);
  await time.pass(3000);
  const [first, , gone] = nodes as [Node, Node, Node];
  wire.kill(gone.id);
  gone.face.stop();
  await time.pass(3000);
  const ends = first.face.graph().links.map(({ to }) => String(to));
  const after = [ends, first.face.facts(gone.id)?.name];
  first.face.forget(gone.id);
  expect([...after, first.face.facts(gone.id)]).toEqual([["n1", "n0"], "n2", undefined]);
});

test("a node that began anew is believed, though it counts from the start", async () => {
  const { time, wire, nodes } = await linked(2);
  const [first, old] = nodes as [Node, Node];
  await time.pass(600_000);
  wire.kill(old.id);
  old.face.stop();
  const fresh = await linked(2);
  const [, again] = fresh.nodes as [Node, Node];
  again.freeBytes = 3e9;
  await fresh.time.pass(5000);
  const record = again.face.graph().nodes.find(({ node }) => node === again.id);
  const versions = [first.face.graph().nodes[1]?.version ?? 0, record?.version ?? 0];
  first.face.linkUp({
    peer: { node: again.id, boot: "another", minor: 0, capabilities: [] },
    remote: endpointOf(again.id),
  });
  first.system.send(
    first.face.address,
    { type: "Topology.Facts", record: { ...record, links: [] } } as never,
    `${again.id}/topology` as never,
  );
  await time.pass(10);
  expect([(versions[0] ?? 0) > (versions[1] ?? 0), first.face.facts(again.id)?.freeBytes]).toEqual([
    true,
    3e9,
  ]);
});
