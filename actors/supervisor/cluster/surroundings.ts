/** Discovery on this machine's networks, and what it shows there of this node. */
import { type DiscoveryOptions, discovery } from "#actors/discovery/index";
import { hashOf } from "#actors/runtime/security/identity";
import type { ActorSystem } from "#actors/runtime/system";
import { endpointFrom } from "#actors/runtime/transport/endpoint";
import { tailnetStatus } from "#actors/runtime/transport/local-daemon";
import { Discovery, type DiscoveryReply, type Neighbour } from "#protocol/discovery";
import { MINOR_VERSION } from "#protocol/hello";
import type { Address } from "#protocol/ids";
import { Problem, worded } from "#protocol/problem";
import type { ClusterOptions } from "./cluster.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { localAddresses } from "./open-network.ts";

type Member = Pick<ClusterNode, "nodes" | "port" | "touch" | "changed">;
type Handle = Awaited<ReturnType<typeof discovery>>;

export interface Surroundings extends Pick<Handle, "address" | "watch" | "stop"> {
  /** Of this process, in hex. */
  readonly boot: string;
  neighbours(): Promise<readonly Neighbour[]>;
  /** What its home calls this machine. */
  ownName(): string;
  /** Where that member listens and what its home calls it is shown from now on, and it hears of machines nearby. */
  belongsTo(node: Member): void;
  /** Shows others that an invite is answered on this TCP port; 0 ends that. */
  showPairing(port: number, inviting: boolean): void;
}

const ASK_MS = 2000;
/** What strangers are told while nothing listens: a presence with port 0 is a farewell. */
const PORT_UNUSED = 52_416;

export async function openSurroundings(
  system: ActorSystem,
  options: ClusterOptions,
  boot: Buffer,
): Promise<Surroundings> {
  const { identity, name, version, port } = options;
  const [hash, bootBytes] = [hashOf(identity.publicKey), new Uint8Array(boot)];
  let [pairingPort, isInviting] = [0, false];
  let called = name;
  let node: Member | undefined;
  const presence = () => ({
    minor: MINOR_VERSION,
    node: hash,
    boot: bootBytes,
    name: called,
    version,
    port: node?.port ?? (port || PORT_UNUSED),
    pairingPort,
    ...(isInviting && { inviting: true as const }),
  });
  const found = await openDiscovery(system, options, { presence, changed: () => node?.touch() });
  return {
    ...found,
    boot: boot.toString("hex"),
    neighbours: () => neighbours(system, found.address),
    ownName: () => called,
    belongsTo(member) {
      node = member;
      const look = async () => {
        const self = (await member.nodes()).find(({ state }) => state === "self");
        if (!self || self.name === called) return;
        called = self.name;
        found.announce();
      };
      const lookAgain = () => void look().catch(() => {}); // Discovery begins anew: what builds on it does as well, and looks.
      member.changed(lookAgain);
      lookAgain();
    },
    showPairing(shown, inviting) {
      [pairingPort, isInviting] = [shown, inviting];
      found.announce();
    },
  };
}

/** A machine without a usable network works alone. */
async function openDiscovery(
  system: ActorSystem,
  { discoveryPort, namespace, excludedInterfaces, peers: named, troubled }: ClusterOptions,
  more: Pick<DiscoveryOptions, "presence" | "changed">,
): Promise<Handle> {
  const { clock } = system;
  const addresses = localAddresses;
  const peers = named.map(endpointFrom).filter((each) => each !== undefined);
  const tailnet = () => tailnetStatus();
  const options = { clock, namespace, excludedInterfaces, addresses, troubled, peers, tailnet, ...more };
  try {
    return await discovery(system, { ...options, port: discoveryPort });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    troubled(worded(error));
    return await discovery(system, { ...options, port: undefined });
  }
}

async function neighbours(system: ActorSystem, to: Address): Promise<readonly Neighbour[]> {
  const answer = await system.ask<DiscoveryReply>(to, Discovery.List({}), system.address("cluster"), ASK_MS);
  return answer.neighbours;
}
