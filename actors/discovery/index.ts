/** The Discovery actor: listens to the network and answers who is near. */
import type { Clock } from "#actors/runtime/clock";
import type { ActorSystem } from "#actors/runtime/system";
import { type DiscoveryMessage, DiscoveryReply } from "#protocol/discovery";
import type { Address, NodeId } from "#protocol/ids";
import { namespaceDigest, type Presence } from "./datagram.ts";
import { Nearby, type Neighbour } from "./nearby.ts";
import { type LocalAddress, openUdp } from "./udp.ts";

export interface DiscoveryOptions {
  readonly clock: Clock;
  readonly port: number;
  readonly namespace: string;
  readonly excludedInterfaces: readonly string[];
  readonly addresses: () => readonly LocalAddress[];
  /** This node as it shows itself now. */
  readonly presence: () => Presence;
  /** Something is wrong that a user could mend; said once for each cause. */
  readonly troubled: (why: string) => void;
}

/** Opens the sockets and spawns the actor; throws Problem when the port cannot be used. */
export async function discovery(
  system: ActorSystem,
  options: DiscoveryOptions,
): Promise<{ readonly address: Address; stop(): Promise<void> }> {
  const { clock, port, namespace, excludedInterfaces: excluded, addresses, presence, troubled } = options;
  const datagrams = await openUdp({ port, clock, addresses, excluded, troubled });
  const nearby = new Nearby({
    datagrams,
    clock,
    presence,
    namespace: namespaceDigest(namespace),
    changed: () => {},
  });
  datagrams.onReceive = (bytes, from) => nearby.receive(bytes, from);
  const address = system.spawn<DiscoveryMessage>("discovery", ({ message, reply }) => {
    if (message.type === "Discovery.List") {
      reply(
        DiscoveryReply.Neighbours({
          neighbours: nearby.neighbours.map((each) => shown(each, clock.nowMs())),
        }),
      );
    }
  });
  nearby.start();
  return {
    address,
    async stop() {
      system.stop(address);
      nearby.stop();
      await datagrams.close();
    },
  };
}

const shown = ({ id, name, version, addresses, port, pairingPort, heardMs }: Neighbour, nowMs: number) => ({
  node: id as NodeId,
  name,
  version,
  addresses: [...addresses],
  port,
  pairingPort,
  silentMs: Math.max(0, nowMs - heardMs),
});
