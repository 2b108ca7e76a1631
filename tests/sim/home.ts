/** Whole nodes of one home in this process, on virtual time and a simulated network: the classes of production, wired as there. */
import { discovery } from "#actors/discovery/index";
import type { Clock } from "#actors/runtime/clock";
import { nodeCertificate } from "#actors/runtime/security/certificate";
import { freshIdentity, hashOf, type Identity } from "#actors/runtime/security/identity";
import { signMemberList } from "#actors/runtime/security/member-list";
import { ActorSystem } from "#actors/runtime/system";
import { Trace } from "#actors/runtime/trace";
import { ClusterNode } from "#actors/supervisor/cluster/cluster-node";
import { firstSnapshot, freshCluster } from "#actors/supervisor/cluster/genesis";
import { changed } from "#actors/supervisor/cluster/member-changes";
import type { MemberChange } from "#protocol/cluster";
import type { ClusterId, NodeId } from "#protocol/ids";
import { Air } from "./air.ts";
import { FileDisk, MemoryDisk } from "./disk.ts";
import { seededIdentity } from "./identities.ts";
import { SimulatedWire } from "./network.ts";
import { seeded } from "./random.ts";
import { VirtualTime } from "./time.ts";

/** Of one process: its timers end with it. */
type Life = { over: boolean };

export interface Machine {
  readonly name: string;
  identity: Identity;
  /** Identities that it may begin anew with. */
  readonly spares: Identity[];
  disk: MemoryDisk;
  life: Life | undefined;
  system: ActorSystem | undefined;
  node: ClusterNode | undefined;
  /** How far its wall clock is off. */
  clockJumpSeconds: number;
}

export class SimulatedHome {
  readonly time = new VirtualTime();
  readonly random: () => number;
  readonly wire: SimulatedWire;
  readonly air: Air;
  readonly machines = new Map<string, Machine>();
  readonly troubles: string[] = [];
  /** Those that are let in as workers. */
  readonly workers = new Set<string>();
  #boots = 0;
  #cluster: ClusterId | undefined;

  /** Of every node's messages and states; two runs of one seed have one digest. */
  readonly trace: Trace;

  constructor(seed: number) {
    this.trace = new Trace({ nowMs: () => this.time.nowMs, digest: true });
    this.random = seeded(seed);
    this.wire = new SimulatedWire(this.time, this.random);
    this.air = new Air(this.wire, this.random);
  }

  /** Gives machines the records of one home, as if they had paired; the first one votes. They are started by `start`. */
  async pair(first: string, ...others: readonly string[]): Promise<void> {
    const { identity, disk } = this.machine(first);
    const clusterKey = freshIdentity();
    const founded = await freshCluster(identity, first, 0, { clusterKey });
    const members = others.reduce((list, name) => {
      const next = changed(list, this.admission(name), 0);
      return next ? signMemberList(next, clusterKey) : list;
    }, founded.members);
    const addresses = Object.fromEntries(
      [first, ...others].map((name) => [this.id(name), [`${this.id(name)}:1`]]),
    );
    const record = { ...founded, members, addresses };
    disk.begin(record, firstSnapshot(record, identity));
    const { clusterKeyBox: _, ...shared } = record;
    for (const name of others) {
      const machine = this.machine(name);
      const nodePem = await nodeCertificate(machine.identity, clusterKey, record.clusterPem);
      machine.disk.begin({ ...shared, nodePem });
    }
    this.#cluster = record.cluster;
  }

  /** How a machine is let in. */
  admission(name: string): Extract<MemberChange, { type: "admit" }> {
    const { publicKey: key } = this.machine(name).identity;
    return { type: "admit", key, name, ...(this.workers.has(name) && { role: "worker" }) };
  }

  /** Lets the machines begin anew so many times. */
  spare(count: number): void {
    for (const { spares } of this.machines.values())
      for (let made = 0; made < count; made++) spares.push(seededIdentity(this.random));
  }

  /** The process ends, and what it kept is lost: the machine is another one from now on. False when it has no spare identity. */
  wipe(name: string): boolean {
    const machine = this.machine(name);
    const spare = machine.spares.shift();
    if (!spare) return false;
    this.kill(name);
    machine.identity = spare;
    machine.disk = new MemoryDisk();
    return true;
  }

  /** Gives the machine the store of production on real files instead; to be said before its first start. */
  async onFiles(name: string): Promise<FileDisk> {
    const machine = this.machine(name);
    const disk = new FileDisk();
    const { record } = machine.disk;
    if (record) disk.begin(record, machine.disk.load().snapshot);
    machine.disk = disk;
    return disk;
  }

  machine(name: string): Machine {
    const known = this.machines.get(name);
    if (known) return known;
    const identity = seededIdentity(this.random);
    const made: Machine = {
      name,
      identity,
      spares: [],
      disk: new MemoryDisk(),
      life: undefined,
      system: undefined,
      node: undefined,
      clockJumpSeconds: 0,
    };
    this.machines.set(name, made);
    return made;
  }

  /** False for a machine that began anew, and has a home of its own until it is let in again. */
  isIn(name: string): boolean {
    return this.machine(name).disk.record?.cluster === this.#cluster;
  }

  node(name: string): ClusterNode {
    const { node } = this.machine(name);
    if (!node) throw new Error(`${name} does not run`);
    return node;
  }

  id(name: string): NodeId {
    return this.machine(name).identity.node;
  }

  async start(name: string): Promise<ClusterNode> {
    const machine = this.machine(name);
    const { identity, disk: store } = machine;
    this.#boots += 1;
    const boot = this.#boots.toString(16).padStart(32, "0");
    const [bootBytes, hash] = [Buffer.from(boot, "hex"), hashOf(identity.publicKey)];
    const life: Life = { over: false };
    machine.life = life;
    const clock = this.#clockOf(machine, life);
    const system = new ActorSystem(identity.node, clock, { trace: this.trace, yieldTo: queueMicrotask });
    const { watch } = await discovery(system, {
      clock,
      port: 1,
      openDatagrams: async () => this.air.attach(identity.node),
      namespace: "default",
      excludedInterfaces: [],
      peers: [],
      tailnet: async () => undefined,
      addresses: () => [],
      presence: () => ({
        minor: 0,
        node: hash,
        boot: bootBytes,
        name,
        version: "1.0.0",
        port: 1,
        pairingPort: 0,
      }),
      changed: () => {},
      troubled: () => {},
    });
    const note = (why: string) => void this.troubles.push(`${name}: ${why}`);
    machine.system = system;
    machine.node = await ClusterNode.open({
      system,
      identity,
      store,
      name,
      version: "1.0.0",
      random: this.random,
      openNetwork: (trust) => this.wire.attach(identity.node, boot, trust),
      watch,
      probe: ({ host }) => this.wire.probe(identity.node, host as NodeId),
      hosts: () => [identity.node],
      near: async () => [],
      troubled: note,
      refused: (from, why) => note(`refused ${from.slice(0, 8)}: ${why}`),
    });
    return machine.node;
  }

  /** Its own wall clock; its timers wait while it stands still. */
  #clockOf(machine: Machine, life: Life): Clock {
    const clock = this.time.clock(this.random);
    const site = this.wire.site(machine.identity.node);
    return {
      ...clock,
      epochSeconds: () => Math.floor(clock.epochSeconds() + machine.clockJumpSeconds),
      after: (ms, run) => {
        let cancelled = false;
        const fire = () => {
          if (site.paused) site.due.push(fire);
          else if (!cancelled && !life.over) run();
        };
        const cancel = this.time.after(ms, fire);
        return () => {
          cancelled = true;
          cancel();
        };
      },
    };
  }

  /** The process ends without a word. */
  kill(name: string): void {
    const machine = this.machine(name);
    this.wire.kill(machine.identity.node);
    this.air.detach(machine.identity.node);
    if (machine.life) machine.life.over = true;
    machine.node?.silence();
    machine.node = undefined;
    machine.disk.close();
  }

  /** Starts `name` and brings it into the home of `inviter`. */
  async join(name: string, inviter: string): Promise<void> {
    const node = await this.start(name);
    const { publicKey } = this.machine(name).identity;
    const record = await this.settled(
      this.node(inviter).admit({ publicKey, name, addresses: [`${this.id(name)}:1`] }),
    );
    await this.settled(node.adopt(record));
  }

  /** Time goes on until the promise is settled, cryptography included. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    const end = () => {
      done = true;
    };
    promise.then(end, end);
    for (let turn = 0; !done && turn < 20_000; turn++) {
      await this.time.pass(20);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return await promise;
  }

  /** Time passes, and stands still for cryptography, which other threads do. */
  async passed(ms: number): Promise<void> {
    await this.time.pass(ms);
  }

  /** Time passes until it is so, however long cryptography takes on a busy machine. */
  async until(isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (let turn = 0; !(await isSo()) && turn < 5000; turn++) await this.passed(20);
  }

  /** What `viewer` sees of each machine: state, `*` for who leads, `+` for who votes. */
  async view(viewer: string): Promise<Record<string, string>> {
    const views = await this.node(viewer).nodes();
    return Object.fromEntries(
      views.map(({ name, state, leader, voter }) => [
        name,
        `${state}${leader ? "*" : ""}${voter ? "+" : ""}`,
      ]),
    );
  }

  /** Milliseconds of virtual time until it is so, looked at every 10. */
  async msUntil(isSo: () => boolean | Promise<boolean>, mostMs: number): Promise<number> {
    const startMs = this.time.nowMs;
    while (!(await isSo()) && this.time.nowMs - startMs < mostMs) await this.time.pass(10);
    return Math.round(this.time.nowMs - startMs);
  }
}
