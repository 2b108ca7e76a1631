/**
 * Members tell each other in datagrams where they are now: after a move to another network, or from a new address. A beacon proves
 * the discovery key, but an old one may be played again, so that all it ever leads to is a dial, and TLS decides.
 */
import type { Clock } from "#actors/runtime/clock";
import { base32 } from "#actors/runtime/security/identity";
import type { Endpoint } from "#actors/runtime/transport/network";
import { MEMBERS_MAX } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { type Beacon, type DiscoveryKey, decodeBeacon, encodeBeacon } from "./datagram.ts";
import type { Datagrams } from "./udp.ts";

export interface BeaconPorts {
  readonly datagrams: Pick<Datagrams, "shout" | "send">;
  /** Where shouting does not reach, and a member may be. */
  readonly elsewhere: () => readonly Endpoint[];
  /** Which start of that member this node is linked with now. */
  readonly linkedBoot: (node: NodeId) => string | undefined;
  /** All members have the keys, so that each could shout for machines that there are not. */
  readonly isMember: (node: NodeId) => boolean;
  readonly clock: Clock;
  /** The newest last. */
  readonly keys: () => readonly DiscoveryKey[];
  readonly self: () => Omit<Beacon, "counter" | "goodbye">;
  readonly heard: (node: NodeId, at: Endpoint) => void;
}

/** A machine that starts is impatient, then rests more and more: 20 members at rest say about a kilobyte a second together. */
const FIRST_MS = [0, 250, 750];
const REST_FIRST_MS = 2000;
const REST_LAST_MS = 15_000;
const REST_GROWS = 1.5;
/** Machines elsewhere are spoken to at the start, and once in so many times. */
const ELSEWHERE_EVERY = 3;
const COUNT_MS = 100;

export class Beacons {
  readonly #ports: BeaconPorts;
  /** The highest counter of each node's last boot. */
  readonly #last = new Map<NodeId, { readonly boot: string; readonly counter: number }>();
  /** Above any of an earlier watch in this process: none shouts so often. */
  #counter: number;
  #shouts = 0;
  #cancels: readonly (() => void)[] = [];
  #restMs = REST_FIRST_MS;
  #stirredMs = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(ports: BeaconPorts) {
    this.#ports = ports;
    this.#counter = Math.floor(ports.clock.nowMs() / COUNT_MS);
  }

  start(): void {
    const { clock } = this.#ports;
    this.#cancels = [
      ...FIRST_MS.map((ms) => clock.after(ms, () => this.#shout(false))),
      clock.after(REST_FIRST_MS, () => this.#repeat()),
    ];
  }

  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#cancels) cancel();
    this.#shout(true);
  }

  /** A member was lost: it may be somewhere else now, or this machine is. */
  stir(): void {
    const { clock } = this.#ports;
    if (this.#stopped || clock.nowMs() - this.#stirredMs < REST_FIRST_MS) return;
    this.#stirredMs = clock.nowMs();
    this.#restMs = REST_FIRST_MS;
    for (const cancel of this.#cancels) cancel();
    this.start();
  }

  /** A datagram came in; anything but a fresh beacon of this cluster is passed over. */
  receive(bytes: Uint8Array, from: Endpoint): void {
    const beacon = decodeBeacon(bytes, this.#ports.keys());
    if (!beacon || beacon.goodbye || Buffer.compare(beacon.node, this.#ports.self().node) === 0) return;
    const node = base32(beacon.node) as NodeId;
    if (!this.#ports.isMember(node)) return;
    const boot = Buffer.from(beacon.boot).toString("hex");
    const last = this.#last.get(node);
    if (last?.boot === boot && beacon.counter <= last.counter) return;
    // A link says more than any datagram: another start than the linked one is played again, or soon links itself.
    const linked = this.#ports.linkedBoot(node);
    if ((linked ?? boot) !== boot || (!last && this.#last.size >= MEMBERS_MAX)) return;
    this.#last.set(node, { boot, counter: beacon.counter });
    if (beacon.port > 0 && linked === undefined)
      this.#ports.heard(node, { host: from.host, port: beacon.port });
  }

  #repeat(): void {
    this.#shout(false);
    this.#cancels = [this.#ports.clock.after(this.#restMs, () => this.#repeat())];
    this.#restMs = Math.min(REST_LAST_MS, this.#restMs * REST_GROWS);
  }

  #shout(goodbye: boolean): void {
    const key = this.#ports.keys().at(-1);
    if (!key) return;
    this.#counter += 1;
    this.#shouts += 1;
    const { self, datagrams, elsewhere } = this.#ports;
    const bytes = encodeBeacon({ ...self(), counter: this.#counter, goodbye }, key);
    datagrams.shout(bytes);
    const isTurn = goodbye || this.#shouts <= FIRST_MS.length || this.#shouts % ELSEWHERE_EVERY === 0;
    if (isTurn) for (const place of elsewhere()) datagrams.send(bytes, place);
  }
}
