/** This node's Pairing actor: wired to its home, and what a command may ask of it, each in words of its own. */
import type { PairingPort } from "#actors/api-gateway/ports";
import { pairing } from "#actors/discovery/index";
import type { ActorSystem } from "#actors/runtime/system";
import type { Address } from "#protocol/ids";
import { Pairing, type PairingMessage, type PairingReply } from "#protocol/pairing";
import { problemOf } from "#protocol/problem";
import type { ClusterOptions, OpenCluster } from "../cluster/cluster.ts";
import { localAddresses, reachableHosts } from "../cluster/open-network.ts";

/** Making a code takes some milliseconds. */
const INVITE_MS = 5_000;
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
  { identity, name, port, secret, troubled }: ClusterOptions,
): Promise<OpenPairing> {
  const { address, settle, stop } = await pairing(system, {
    node: identity.node,
    publicKey: identity.publicKey,
    name: () => name,
    port: () => cluster.port ?? port,
    admission: cluster,
    isUp: (node) => cluster.linked.includes(node),
    neighbours: () => cluster.near(),
    addresses: () => reachableHosts(localAddresses()),
    announce: (shown) => cluster.showPairing(shown),
    troubled,
    ...(secret !== undefined && { secret }),
  });
  const forget = cluster.changed(settle);
  return {
    port: portOf(system, address, system.address("command")),
    stop() {
      forget();
      stop();
    },
  };
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
    invite: (ttlMs) => ask(Pairing.Invite({ ttlMs }), "PairingReply.Invited", INVITE_MS),
    watch: (which) => ask(Pairing.Watch(which), "PairingReply.Invite", WATCH_MS),
    close: (which) => ask(Pairing.Close(which), "PairingReply.Invite", INVITE_MS),
    join: (application) => ask(Pairing.Join(application), "PairingReply.Joined", JOIN_MS),
  };
}
