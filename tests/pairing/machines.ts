/** Machines that pair over real TLS on loopback, each with a clock that the test moves and a cluster that is only a list. */
import { randomBytes } from "node:crypto";
import { PairingDesk } from "#actors/discovery/pairing/pairing";
import type { Membership, PairingPorts } from "#actors/discovery/pairing/ports";
import { systemClock } from "#actors/runtime/clock";
import { freshIdentity, type Identity, nodeIdOf } from "#actors/runtime/security/identity";
import { signMemberList } from "#actors/runtime/security/member-list";
import { dialStranger, listenForStrangers, type StrangerChannel } from "#actors/runtime/transport/stranger";
import type { Member } from "#protocol/cluster";
import type { Neighbour } from "#protocol/discovery";
import type { ClusterId, NodeId } from "#protocol/ids";
import type { Admitted } from "#protocol/pairing";
import { Problem } from "#protocol/problem";
import { VirtualTime } from "../sim/time.ts";

/** Machines of one network: what each shows of itself. */
export class Network {
  readonly machines: Machine[] = [];

  start(name: string, options: Partial<PairingPorts> & { identity?: Identity } = {}): Machine {
    const machine = new Machine(name, this, options);
    this.machines.push(machine);
    return machine;
  }

  [Symbol.dispose](): void {
    for (const { desk } of this.machines) desk.stop();
  }
}

export class Machine {
  readonly time = new VirtualTime();
  readonly identity: Identity;
  readonly desk: PairingDesk;
  readonly name: string;
  readonly told: string[] = [];
  readonly cluster: ClusterId;
  pairingPort = 0;
  inviting = false;
  members: Member[];
  adopted: Membership | undefined;
  /** Replaces the cluster's part in a test of what goes wrong there. */
  admit: (record: Admitted) => Promise<Admitted> = async (record) => record;
  readonly #clusterKey = freshIdentity();

  constructor(
    name: string,
    network: Network,
    { identity = freshIdentity(), ...changed }: Partial<PairingPorts> & { identity?: Identity },
  ) {
    this.name = name;
    this.identity = identity;
    this.cluster = `cluster-${name}` as ClusterId;
    this.members = [memberOf(identity.publicKey, name)];
    this.desk = new PairingDesk({
      clock: this.time.clock(Math.random),
      random: (bytes) => randomBytes(bytes),
      node: identity.node,
      publicKey: identity.publicKey,
      name: () => name,
      port: () => 52_416,
      admission: this.#admission(),
      isUp: () => false,
      isMember: (node) => this.members.some((member) => member.node === node),
      neighbours: async () =>
        network.machines.filter((other) => other !== this).map((other) => other.neighbour()),
      addresses: () => ["127.0.0.1"],
      announce: (port, inviting) => {
        this.pairingPort = port;
        this.inviting = inviting;
      },
      troubled: (why) => this.told.push(why),
      listen: (opened) => listenForStrangers(systemClock, opened),
      dial: (to, signal) => dialStranger(to, systemClock, signal),
      ...changed,
    });
  }

  get endpoint() {
    return { host: "127.0.0.1", port: this.pairingPort };
  }

  neighbour(): Neighbour {
    const { identity, name, pairingPort } = this;
    return {
      node: identity.node,
      name,
      version: "1",
      addresses: ["127.0.0.1"],
      port: 52_416,
      pairingPort,
      ...(this.inviting && { inviting: true }),
      silentMs: 0,
    };
  }

  async invite(ttlMs = 60_000) {
    return await this.desk.invite(ttlMs);
  }

  /** "joined …", or the problem's message. */
  async join(code: string, at?: string): Promise<string> {
    try {
      const { name, as } = await this.desk.join(code, at, undefined);
      return `joined ${name} as ${as}`;
    } catch (error) {
      if (error instanceof Problem) return error.message;
      throw error;
    }
  }

  /** As `join`, where nobody shows an invite: one may still be heard of, and then who has a door says why nobody comes in by it. */
  async joinLate(code: string): Promise<string> {
    const joining = this.join(code);
    await this.time.pass(5000);
    return await joining;
  }

  /** Resolves once this machine's invite is in the state. */
  reaches(state: string): Promise<void> {
    return this.#until(() => this.desk.state.state === state);
  }

  /** What went wrong with this machine's invite, once something did. */
  async troubled(): Promise<string | undefined> {
    await this.#until(() => this.desk.state.trouble !== undefined);
    return this.desk.state.trouble;
  }

  async #until(isSo: () => boolean): Promise<void> {
    let seen: string | undefined;
    while (!isSo())
      seen = await new Promise((resolve) => this.desk.watch(seen, (reply) => resolve(reply.seen)));
  }

  #admission(): PairingPorts["admission"] {
    const self = this;
    return {
      admit: ({ publicKey, name }) => this.admit(this.#record(publicKey, name)),
      async adopt(record) {
        self.adopted = record;
        self.members = record.members.members;
      },
      get mayAdmit() {
        return self.adopted === undefined;
      },
      get others() {
        return self.members.length - 1;
      },
    };
  }

  /** A member that asks again gets its record again, and a name that is taken a number. */
  #record(key: Uint8Array, name: string): Admitted {
    const taken = this.members.some((each) => each.name === name);
    if (!this.members.some(({ node }) => node === nodeIdOf(key)))
      this.members = [...this.members, memberOf(key, taken ? `${name}-2` : name)];
    const list = {
      cluster: this.cluster,
      version: this.members.length,
      minimumMinor: 0,
      members: this.members,
    };
    return {
      cluster: this.cluster,
      clusterPem: "cluster",
      nodePem: "node",
      members: signMemberList(list, this.#clusterKey),
      discoveryKeys: [{ number: 1, secret: new Uint8Array(32) }],
      addresses: {},
    };
  }
}

const memberOf = (key: Uint8Array, name: string): Member => ({
  node: nodeIdOf(key) as NodeId,
  key,
  name,
  joinedAt: 0,
  labels: {},
  drained: false,
  excluded: false,
});

/** A code that was made by the same rule and is another. */
export function otherCode(code: string): string {
  const signs = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
  const plain = code.replace("-", "");
  // Adding the same value at two places that count once keeps the check sign right only by chance: swap two unlike signs that count alike.
  for (let a = 0; a < 7; a++)
    for (let b = a + 2; b < 7; b += 2)
      if (plain[a] !== plain[b]) {
        const letters = [...plain];
        [letters[a], letters[b]] = [letters[b] as string, letters[a] as string];
        return letters.join("");
      }
  return signs.slice(0, 8);
}

/** Somebody between two machines: a door of its own that passes on what comes. */
export async function middleman(victim: { readonly host: string; readonly port: number }) {
  const seen: Uint8Array[] = [];
  const listener = await listenForStrangers(systemClock, (near) => {
    const early: [number, Uint8Array][] = [];
    near.onFrame = (kind, payload) => early.push([kind, payload.slice()]);
    void dialStranger(victim, systemClock, AbortSignal.timeout(5000)).then((far) => {
      pass(near, far, seen);
      for (const [kind, payload] of early) near.onFrame(kind, payload);
      pass(far, near, seen);
    });
  });
  return { listener, seen };
}

function pass(from: StrangerChannel, to: StrangerChannel, seen: Uint8Array[]): void {
  from.frameBytesMax = 1 << 20;
  from.onFrame = (kind, payload) => {
    seen.push(payload.slice());
    to.send(kind as 0 | 1 | 2, payload.slice());
  };
  from.onClose = () => to.close();
}
