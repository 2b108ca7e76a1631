/** This node's Pairing actor: wired to its home, and what a command may ask of it, each in words of its own. */
import type { PairingPort } from "#actors/api-gateway/ports";
import { pairing } from "#actors/discovery/index";
import type { Clock } from "#actors/runtime/clock";
import type { ActorSystem } from "#actors/runtime/system";
import type { NodeView } from "#protocol/cluster";
import type { Address } from "#protocol/ids";
import { Pairing, type PairingMessage, type PairingReply } from "#protocol/pairing";
import { Problem, problemOf } from "#protocol/problem";
import type { ClusterOptions, OpenCluster } from "../cluster/cluster.ts";
import { localAddresses, reachableHosts } from "../cluster/open-network.ts";

/** Making a code starts two programs, one after the other, each of which has twenty seconds and needs a fraction of one. */
const INVITE_MS = 45_000;
/** After the loss of who led, another one leads within five seconds. */
const ELECTION_MS = 5_000;
const LOOK_EVERY_MS = 100;
/** Longer than the actor lets a watcher wait. */
const WATCH_MS = 30_000;
/** Some addresses that do not answer, then an exchange with a home that must agree. */
const JOIN_MS = 120_000;

type Of<Type extends PairingReply["type"]> = Extract<PairingReply, { type: Type }>;

export interface OpenPairing {
  readonly port: PairingPort;
  stop(): void;
}

/** Throws Problem. */
export async function openPairing(
  system: ActorSystem,
  cluster: OpenCluster,
  { identity, port, secret, steps, troubled }: ClusterOptions,
): Promise<OpenPairing> {
  const { address, settle, stop } = await pairing(system, {
    node: identity.node,
    publicKey: identity.publicKey,
    name: () => cluster.ownName(),
    port: () => cluster.port ?? port,
    admission: cluster,
    isMember: (node) => cluster.isMember(node),
    isUp: (node) => cluster.linked.includes(node),
    neighbours: () => cluster.near(),
    addresses: () => reachableHosts(localAddresses()),
    announce: cluster.showPairing,
    troubled,
    ...(secret !== undefined && { secret }),
    ...(steps && { steps }),
  });
  const forget = cluster.changed(settle);
  const { invite, ...more } = portOf(system, address, system.address("command"));
  return {
    port: {
      ...more,
      async invite(ttlMs, role) {
        await someoneLeads(system.clock, cluster);
        return await invite(ttlMs, role);
      },
    },
    stop() {
      forget();
      stop();
    },
  };
}

/** A code that nobody could come in by is worse than none: an election is waited for, then it is said what is wrong. Throws Problem. */
async function someoneLeads(clock: Clock, cluster: Pick<OpenCluster, "nodes">): Promise<void> {
  for (const endMs = clock.nowMs() + ELECTION_MS; ; ) {
    const nodes = await cluster.nodes();
    if (nodes.some(({ leader }) => leader)) return;
    if (clock.nowMs() > endMs) throw leaderless(nodes);
    await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
  }
}

function leaderless(nodes: readonly NodeView[]): Problem {
  const away = nodes.filter(({ state }) => !["up", "self", "unpaired"].includes(state));
  const voters = away.filter(({ voter }) => voter);
  // A member that just came may not know yet who votes.
  const names = (voters.length > 0 ? voters : away).map(({ name }) => name).join(" and ");
  const self = nodes.find(({ state }) => state === "self");
  return new Problem("unavailable", "no machine leads this home now, so that nobody can be let in", {
    remedy: `${names ? `start ${names} again` : "try again in a moment"}, or let this machine lead if that is gone for good: exo node '${self?.name}' takeover`,
  });
}

function portOf(system: ActorSystem, to: Address, me: Address): PairingPort {
  async function ask<Type extends PairingReply["type"]>(
    question: PairingMessage,
    type: Type,
    timeoutMs: number,
  ): Promise<Of<Type>> {
    const answer = await system.ask<PairingReply>(to, question, me, timeoutMs);
    if (answer.type === "PairingReply.Refused") throw problemOf(answer.problem);
    if (answer.type !== type) throw new Error(`${question.type} was answered by ${answer.type}`);
    return answer as Of<Type>;
  }
  return {
    invite: (ttlMs, role) =>
      ask(Pairing.Invite({ ttlMs, ...(role && { role }) }), "PairingReply.Invited", INVITE_MS),
    watch: (which) => ask(Pairing.Watch(which), "PairingReply.Invite", WATCH_MS),
    close: (which) => ask(Pairing.Close(which), "PairingReply.Invite", INVITE_MS),
    join: (application) => ask(Pairing.Join(application), "PairingReply.Joined", JOIN_MS),
  };
}
