/** The Discovery actor: listens to the network, answers who is near, and watches over the members of this home. */

import type { Received } from "#actors/runtime/actor";
import type { Clock } from "#actors/runtime/clock";
import type { ActorSystem } from "#actors/runtime/system";
import { endpointFrom } from "#actors/runtime/transport/endpoint";
import type { Endpoint } from "#actors/runtime/transport/network";
import { MEMBERS_MAX } from "#protocol/cluster";
import { type DiscoveryMessage, DiscoveryReply } from "#protocol/discovery";
import type { Address, NodeId } from "#protocol/ids";
import { Beacons } from "./beacons.ts";
import { namespaceDigest, type Presence } from "./datagram.ts";
import { Elsewhere } from "./elsewhere.ts";
import { Nearby, type Neighbour } from "./nearby.ts";
import { type PairingHandle, type PairingOptions, spawnPairing } from "./pairing/actor.ts";
import { Peers } from "./peers.ts";
import type { LocalAddress, Watch, WatchPorts } from "./ports.ts";
import { SourceLimits } from "./source-limits.ts";
import { type Datagrams, isOnNetwork, openUdp } from "./udp.ts";

export interface DiscoveryOptions {
  readonly clock: Clock;
  /** UDP; undefined: neither shout nor listen. */
  readonly port: number | undefined;
  /** How datagrams are sent and heard; absent: by the sockets of this machine. */
  readonly openDatagrams?: () => Promise<Datagrams>;
  readonly namespace: string;
  readonly excludedInterfaces: readonly string[];
  /** Members' ports of machines that shouting does not reach. */
  readonly peers: readonly Endpoint[];
  /** The status of the overlay network that this machine is in; undefined where there is none. */
  readonly tailnet: () => Promise<unknown>;
  readonly addresses: () => readonly LocalAddress[];
  /** This node as it shows itself now. */
  readonly presence: () => Presence;
  /** Somebody near came, went, or shows itself otherwise. */
  readonly changed: () => void;
  /** Something is wrong that a user could mend; said once for each cause. */
  readonly troubled: (why: string) => void;
}

export interface DiscoveryHandle {
  readonly address: Address;
  /** Shouts at once, and often while an invite is open: what it shows of itself is another. */
  announce(): void;
  /** Looks after the members of a home from now on; one at a time. */
  watch(ports: WatchPorts): Watch;
  stop(): Promise<void>;
}

/** Opens the sockets and spawns the actor; throws Problem when the port cannot be used. */
export async function discovery(system: ActorSystem, options: DiscoveryOptions): Promise<DiscoveryHandle> {
  const { clock, presence } = options;
  const datagrams = await datagramsOf(options);
  const limits = new SourceLimits(clock);
  const elsewhere = new Elsewhere({ ...options, port: options.port ?? 0 });
  const nearby = datagrams && nearbyOn(datagrams, options, elsewhere);
  const twins = warnings(options.troubled);
  let peers: Peers | undefined;
  let beacons: Beacons | undefined;
  if (datagrams)
    datagrams.onReceive = reader(limits, {
      read(bytes, from) {
        nearby?.receive(bytes, from);
        beacons?.receive(bytes, from);
      },
      failed: (error) => system.fail(address, error),
    });
  const list = () => (nearby?.neighbours ?? []).map((each) => shown(each, clock.nowMs()));
  const address = system.spawn(
    "discovery",
    behaviour(
      list,
      () => peers,
      (said) => twins.ofThisOne(said),
    ),
  );
  if (datagrams) void elsewhere.start().catch(system.caught);
  nearby?.start();

  function watch(ports: WatchPorts): Watch {
    const made = new Peers({
      ...ports,
      unlinked(node) {
        ports.unlinked(node);
        beacons?.stir();
      },
      changed(node, state) {
        ports.changed(node, state);
        if (state === "copied") twins.of(node);
      },
    });
    const seen: Beacons | undefined =
      datagrams &&
      new Beacons({
        datagrams,
        clock,
        keys: ports.keys,
        self: presence,
        elsewhere: () => elsewhere.places,
        linkedBoot: (node) => made.linkedBoot(node),
        isMember: (node) => made.has(node),
        heard: (node, at) => made.learn(node, at),
      });
    [peers, beacons] = [made, seen];
    made.start();
    seen?.start();
    return watchOver(made, seen, options.peers);
  }

  return {
    address,
    announce: () => nearby?.announce(),
    watch,
    async stop() {
      system.stop(address);
      elsewhere.stop();
      nearby?.stop();
      await datagrams?.close();
    },
  };
}

/** A datagram that is read with an exception is the actor's crash. */
const reader =
  (
    limits: SourceLimits,
    { read, failed }: { read: Datagrams["onReceive"]; failed: (error: unknown) => void },
  ): Datagrams["onReceive"] =>
  (bytes, from) => {
    if (!limits.allows(from.host)) return;
    try {
      read(bytes, from);
    } catch (error) {
      failed(error);
    }
  };

const behaviour =
  (list: () => readonly Shown[], peers: () => Peers | undefined, copied: (said: NodeId) => void) =>
  ({ message, from, reply }: Received<DiscoveryMessage>) => {
    const sender = from.slice(0, from.indexOf("/")) as NodeId;
    switch (message.type) {
      case "Discovery.List":
        return reply(DiscoveryReply.Neighbours({ neighbours: [...list()] }));
      case "Discovery.Beat":
        return peers()?.heard(sender);
      case "Discovery.Goodbye":
        return peers()?.goodbye(sender);
      case "Discovery.Here":
        return peers()?.located(sender, message.endpoints.map(endpointFrom).filter(isEndpoint));
      case "Discovery.Copied":
        peers()?.toldCopied(sender);
        return copied(sender);
      case "Discovery.Missed":
        return peers()?.missed(sender, message.node);
      case "Discovery.Heard":
        return peers()?.heardElsewhere(message.node);
      case "Discovery.Known":
        return peers()?.hinted(message.node, message.endpoints.map(endpointFrom).filter(isEndpoint));
    }
  };

async function datagramsOf(options: DiscoveryOptions): Promise<Datagrams | undefined> {
  const { port, clock, addresses, excludedInterfaces, troubled, openDatagrams } = options;
  if (port === undefined) return undefined;
  return await (openDatagrams?.() ??
    openUdp({ port, clock, addresses, excluded: excludedInterfaces, troubled }));
}

const nearbyOn = (datagrams: Datagrams, options: DiscoveryOptions, elsewhere: Elsewhere) => {
  const { clock, presence, namespace, changed, addresses, troubled } = options;
  return new Nearby({
    datagrams,
    clock,
    presence,
    changed,
    namespace: namespaceDigest(namespace),
    elsewhere: () => elsewhere.places,
    isNear: (host) => isOnNetwork(host, addresses()),
    copied: (host) =>
      troubled(
        `another machine, at ${host}, has the identity of this one, as a copied disk gives it: ${NEITHER}`,
      ),
  });
};

const NEITHER = "while both run, the home links with neither; on the copy: exo node reset-identity";

/** Said once of each machine: it stays so until somebody does something about it. */
function warnings(troubled: (why: string) => void) {
  const told = new Set<NodeId>();
  let isTold = false;
  return {
    of(node: NodeId) {
      if (told.has(node) || told.size >= MEMBERS_MAX) return;
      told.add(node);
      troubled(
        `two machines run with the identity ${node.slice(0, 8)}, as a copied disk gives it: ${NEITHER}`,
      );
    },
    /** Any member may say so, and one alone may be wrong or lie: it is named. */
    ofThisOne(said: NodeId) {
      if (!isTold)
        troubled(
          `${said.slice(0, 8)} says that another machine has the identity of this one, as a copied disk gives it: ${NEITHER}`,
        );
      isTold = true;
    },
  };
}

/** The watch with its beacons, which begin and end with it. */
const watchOver = (peers: Peers, beacons: Beacons | undefined, named: readonly Endpoint[]): Watch => ({
  get all() {
    return peers.all;
  },
  get isCopied() {
    return peers.isCopied;
  },
  setMembers(nodes) {
    peers.setMembers(nodes);
    // It is not said which member a named machine is: TLS tells.
    for (const node of nodes) peers.hinted(node, named);
  },
  learn: (node, endpoint) => peers.learn(node, endpoint),
  heard: (node) => peers.heard(node),
  accept: (link) => peers.accept(link),
  stop: () => {
    beacons?.stop();
    peers.stop();
  },
});

const isEndpoint = (endpoint: Endpoint | undefined): endpoint is Endpoint => endpoint !== undefined;

type Shown = ReturnType<typeof shown>;

const shown = (
  { id, name, version, addresses, port, pairingPort, inviting, heardMs }: Neighbour,
  nowMs: number,
) => ({
  node: id as NodeId,
  name,
  version,
  addresses: [...addresses],
  port,
  pairingPort,
  ...(inviting && { inviting }),
  silentMs: Math.max(0, nowMs - heardMs),
});

/** Spawns the Pairing actor, by which machines come into a home. Throws Problem. */
export const pairing = (system: ActorSystem, options: PairingOptions): Promise<PairingHandle> =>
  spawnPairing(system, options);
