/** Changes as whoever leads makes them: signed, proposed, and made again when another's came first. */
import type { Seen } from "#actors/discovery/ports";
import type { Clock } from "#actors/runtime/clock";
import type { Epoch } from "#actors/runtime/raft/proposals";
import { successor } from "#actors/runtime/security/authority";
import { freshIdentity, type Identity, nodeIdOf } from "#actors/runtime/security/identity";
import { signMemberList } from "#actors/runtime/security/member-list";
import type { Steps } from "#actors/runtime/security/steps";
import { succeeded } from "#actors/runtime/security/succession";
import type { Authority, ClusterMessage, Member, MemberChange, MemberList } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { freshDiscoveryKey } from "./genesis.ts";
import { changed } from "./member-changes.ts";
import { unlessCut, type Votes } from "./reach.ts";
import { notLeading, outdated, type Replica } from "./replica.ts";
import { about, sealedKey, signedBoxes } from "./sealed-key.ts";
import { type ClusterCommand, type ClusterState, encodeCommand, isOvertaken } from "./state.ts";

/** Attempts at a list that another's change came before. */
const TRIES = 4;
/** As many hold a new key at once, where there are as many: it outlives the death of who made it. */
const HEIRS = 3;
/** Who voted once keeps the key; of many some are enough, and their boxes fit into one entry of the log. */
const HEIRS_MAX = 8;

/** Who leads speaks to all four times a second, and a log that is lost is sent anew within two seconds. */
const OTHERS_MS = 3000;
const LOOK_EVERY_MS = 100;

export interface MakingPorts {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly steps?: Steps | undefined;
  readonly replica: Replica;
  /** The newest of the cluster's keys that is known here, and its private part, where it is held. */
  readonly authority: () => Authority;
  readonly clusterKey: () => Identity | undefined;
  readonly seen: () => readonly Seen[];
  /** Through whoever leads. */
  readonly propose: (command: Uint8Array) => Promise<Epoch>;
  /** Another votes in that machine's place, if that is possible; in this node's own, beside it, while no other does. */
  readonly unseat: (node: NodeId) => Promise<void>;
}

interface Prepared {
  readonly list: Omit<MemberList, "signature">;
  readonly state: ClusterState;
  readonly key: Identity;
}

export class Making {
  readonly #ports: MakingPorts;
  /** One change of the list after the other. */
  #last: Promise<unknown> = Promise.resolve();
  readonly #entrusting = new Map<NodeId, Promise<void>>();

  constructor(ports: MakingPorts) {
    this.#ports = ports;
  }

  /** Who votes, and how they are seen from here. */
  get votes(): Votes {
    const { identity, replica, seen } = this.#ports;
    return { self: identity.node, voters: replica.raft.config.voters, seen: seen() };
  }

  /** Resolves when a majority agreed; throws Problem, `notLeading` where this node does not lead, and at once where none can come to agree. */
  make(message: ClusterMessage): Promise<Epoch> {
    return unlessCut(this.#ports.clock, () => this.votes, this.#make(message));
  }

  #make(message: ClusterMessage): Promise<Epoch> {
    if (message.type === "Cluster.Propose") return this.#ports.replica.propose(message.command);
    if (message.type !== "Cluster.Change")
      return Promise.reject(new Problem("invalid", `${message.type} is no change`));
    const made = this.#last.then(() => this.#relist(message));
    this.#last = made.catch(() => {}); // Told to who asked; the next change does not depend on it.
    return made;
  }

  /** One more member holds the key: through the log, so that whoever leads next knows who does. Throws Problem. */
  entrust(node: NodeId): Promise<void> {
    const underWay = this.#entrusting.get(node);
    if (underWay !== undefined) return underWay;
    const made = this.#entrust(node).finally(() => this.#entrusting.delete(node));
    this.#entrusting.set(node, made);
    return made;
  }

  async #entrust(node: NodeId): Promise<void> {
    const { leads, state } = this.#ports.replica;
    const key = this.#ports.clusterKey();
    const member = state?.list.members.find((each) => each.node === node);
    if (!state || !key || !member || !this.#isCurrent(state)) return;
    if (isEarly(state)) {
      if (!leads) return;
      // Keys that lay on disks in the clear, nobody knows whose, open nothing from now on.
      const { signature: _, ...list } = state.list;
      const command = await this.#succession({ list: { ...list, version: list.version + 1 }, state, key });
      await this.#ports.replica.propose(encodeCommand(command));
      return;
    }
    const { cluster } = state.list;
    const { number } = state.authority;
    const box = await sealedKey(member.key, key, cluster, this.#ports.steps);
    if (!box) return;
    const proof = signedBoxes(key, { cluster, number, boxes: { [node]: box } });
    await this.#ports.propose(encodeCommand({ type: "entrust", node, number, box, proof }));
  }

  async #relist({ change, seen }: Change): Promise<Epoch> {
    const { replica, unseat } = this.#ports;
    for (let tries = 1; ; tries++) {
      // Who was replaced and does not know would say of a machine that was forgotten meanwhile that it is a member already.
      const epoch = await replica.confirm();
      if (tries === 1 && this.#isLate(change, seen)) throw outdated();
      if (takesVote(change) && this.#changed(change)) {
        await unseat(change.node);
        await this.#othersHold(change, epoch);
      }
      // After that: who votes in its place was given the key, and is to have the next one too.
      const prepared = this.#prepare(change);
      if (!prepared) return epoch;
      try {
        return await replica.propose(encodeCommand(await this.#command(change, prepared)));
      } catch (error) {
        if (!isOvertaken(error) || tries >= TRIES) throw error;
      }
    }
  }

  /**
   * Who is forgotten gives no vote from then on, also while its seat is kept, as nobody could take it: those that are left must be able to
   * agree without it. One that lost its disk, and gives no vote until it was taught again, does not count. Throws Problem.
   */
  async #othersHold({ type, node }: Taking, { index }: Epoch): Promise<void> {
    const { clock, identity, replica } = this.#ports;
    const self = identity.node;
    // Whoever leads after this node asks that of it.
    if (type !== "forget" || node === self) return;
    const untilMs = clock.nowMs() + OTHERS_MS;
    const holds = (each: NodeId) => each !== node && (each === self || replica.raft.hasTaught(each, index));
    for (;;) {
      const { voters } = replica.raft.config;
      if (!voters.includes(node) || voters.filter(holds).length * 2 > voters.length) return;
      if (!replica.leads) throw notLeading();
      if (clock.nowMs() >= untilMs) throw fewLeft();
      await new Promise<void>((resolve) => void clock.after(LOOK_EVERY_MS, resolve));
    }
  }

  /**
   * Whether the list changed since who asks saw it. A question that lay on a slow link may come after another had the same done, and
   * undone, so that it would undo that: who still waits asks again, knowing that.
   */
  #isLate(change: MemberChange, seen: number | undefined): boolean {
    const list = this.#ports.replica.state?.list;
    if (!list || seen === undefined || seen >= list.version) return false;
    const has = (id: NodeId) => list.members.some(({ node }) => node === id);
    if (change.type === "admit") return !has(nodeIdOf(change.key));
    return (change.type === "forget" || change.type === "role") && has(change.node);
  }

  /** Undefined when the change changes nothing; throws Problem also where another is to make it. */
  #prepare(change: MemberChange): Prepared | undefined {
    const prepared = this.#changed(change);
    if (prepared && takesVote(change) && change.node === this.#ports.identity.node) this.#handOver();
    return prepared;
  }

  #changed(change: MemberChange): Prepared | undefined {
    const { replica, clock, clusterKey } = this.#ports;
    const { leads, state } = replica;
    // Who leads since a moment may know of a newer key, of which the log tells it only now.
    if (!leads || !state || !this.#isCurrent(state)) throw notLeading();
    const key = clusterKey();
    if (!key) throw keyless();
    const list = changed(state.list, change, clock.epochSeconds());
    if (list?.members.every(({ role }) => role === "worker")) throw lastFull();
    return list && { list, state, key };
  }

  /** Who leads cannot become a worker, and links to who is forgotten end at once: another leads first, and is asked then. */
  #handOver(): never {
    const { raft } = this.#ports.replica;
    if (raft.config.voters.length === 1) throw heirless();
    raft.resign();
    throw notLeading();
  }

  #isCurrent({ authority }: ClusterState): boolean {
    return authority.pem === this.#ports.authority().pem;
  }

  /** Signed by the key, or by another where the change takes the key from somebody. */
  async #command(change: MemberChange, prepared: Prepared): Promise<ClusterCommand> {
    const { list, state, key } = prepared;
    const renews = change.type === "forget" || change.type === "rotate";
    const renewed = renews && { key: nextDiscoveryKey(state) };
    if (takesKey(change, state)) return { ...(await this.#succession(prepared)), ...renewed };
    return { type: "list", list: signMemberList(list, key), ...renewed };
  }

  async #succession({ list, state, key }: Prepared): Promise<Extract<ClusterCommand, { type: "authority" }>> {
    const next = freshIdentity();
    const number = state.authority.number + 1;
    const { cluster } = list;
    const { steps, identity } = this.#ports;
    const { ranked, count } = heirs(list.members, state, identity);
    const keys = ranked.map((member) => member.key);
    const asked = { cluster, number, about: about(cluster), heirs: keys, count };
    const { pem, boxes: made } = await succeeded(next, asked, steps);
    const boxes = Object.fromEntries(ranked.flatMap(({ node }, i) => (made[i] ? [[node, made[i]]] : [])));
    return {
      type: "authority",
      authority: successor(state.authority, pem, key),
      list: signMemberList(list, next),
      boxes,
      proof: signedBoxes(next, { cluster, number, boxes }),
    };
  }
}

type Change = Extract<ClusterMessage, { type: "Cluster.Change" }>;
type Taking = Extract<MemberChange, { type: "forget" | "role" }>;

const takesVote = (change: MemberChange): change is Taking =>
  change.type === "forget" || (change.type === "role" && change.role === "worker");

/** In a home of an early version it is not known who holds the key. */
const isEarly = ({ boxes }: ClusterState): boolean => Object.keys(boxes).length === 0;

const takesKey = (change: MemberChange, state: ClusterState): boolean =>
  change.type === "rotate" ||
  (takesVote(change) && (state.boxes[change.node] !== undefined || isEarly(state)));

/** Who is forgotten knows the key that beacons are sealed with. */
const nextDiscoveryKey = ({ discoveryKeys }: ClusterState) =>
  freshDiscoveryKey((discoveryKeys.at(-1)?.number ?? 0) + 1);

interface Heirs {
  /** Who makes the key, those that held the one before, then others. */
  readonly ranked: readonly Member[];
  /** As many of them are to have it. */
  readonly count: number;
}

function heirs(members: readonly Member[], { boxes }: ClusterState, self: Identity): Heirs {
  const rank = ({ node }: Member) => (node === self.node ? 0 : boxes[node] ? 1 : 2);
  const ranked = members.filter(({ role }) => role !== "worker").toSorted((a, b) => rank(a) - rank(b));
  const held = ranked.filter((member) => rank(member) < 2).length;
  return { ranked, count: Math.min(HEIRS_MAX, Math.max(HEIRS, held)) };
}

/** Without its only vote a home of several would decide nothing any more, and hear of nobody whom to ask. */
const heirless = (): Problem =>
  new Problem(
    "unavailable",
    "this machine alone votes in this home, and no other can vote in its place now",
    {
      remedy:
        "start another one that is no worker and try again in a moment, or, if it is gone for good, forget it first: exo node NAME forget",
    },
  );

const fewLeft = (): Problem =>
  new Problem(
    "unavailable",
    "without it too few would be left of those that vote, as another is away or has just come in: nothing could be changed any more",
    {
      remedy:
        "start the others and try again in a moment, or forget those first that are gone for good: exo node NAME forget",
    },
  );

const lastFull = (): Problem =>
  new Problem("forbidden", "only workers would be left in this home, and nobody who can change it", {
    remedy: "give one of them a say first, exo node NAME role full, or forget them first",
  });

const keyless = (): Problem =>
  new Problem("forbidden", "the machine that leads does not hold the cluster's key yet", {
    remedy: "try again in a moment",
  });
