/** Datagrams between simulated machines: lost, doubled, late, and played again by whoever recorded them. */
import type { Datagrams } from "#actors/discovery/udp";
import type { Endpoint } from "#actors/runtime/transport/network";
import type { NodeId } from "#protocol/ids";
import type { SimulatedWire } from "./network.ts";

const PORT = 52_415;
/** Datagrams that a listener on the network has recorded. */
const RECORDED_MAX = 64;

export class Air {
  /** Part of the datagrams that arrive twice. */
  doubled = 0;
  readonly #wire: SimulatedWire;
  readonly #random: () => number;
  readonly #ears = new Map<NodeId, Datagrams>();
  readonly #recorded: { readonly bytes: Uint8Array; readonly from: NodeId }[] = [];

  constructor(wire: SimulatedWire, random: () => number) {
    this.#wire = wire;
    this.#random = random;
  }

  attach(node: NodeId): Datagrams {
    const made: Datagrams = {
      shout: (bytes) => {
        if (this.#ears.get(node) !== made) return;
        this.#record(bytes, node);
        for (const other of this.#ears.keys()) if (other !== node) this.#send(node, other, bytes);
      },
      send: (bytes, { host }) => {
        if (this.#ears.get(node) === made) this.#send(node, host as NodeId, bytes);
      },
      onReceive: () => {},
      close: async () => {
        if (this.#ears.get(node) === made) this.#ears.delete(node);
      },
    };
    this.#ears.set(node, made);
    return made;
  }

  detach(node: NodeId): void {
    this.#ears.delete(node);
  }

  /** Something that was said at any time is said again to all, bits of it other ones, as if from one of them. */
  replay(): void {
    const said = this.#recorded[Math.floor(this.#random() * this.#recorded.length)];
    if (!said) return;
    const bytes = said.bytes.slice();
    if (this.#random() < 0.5) bytes[Math.floor(this.#random() * bytes.length)] = this.#random() * 256;
    const hosts = [...this.#ears.keys()];
    const from = hosts[Math.floor(this.#random() * hosts.length)] ?? said.from;
    for (const to of hosts) this.#deliver(from, to, bytes, 1);
  }

  #record(bytes: Uint8Array, from: NodeId): void {
    const said = { bytes: bytes.slice(), from };
    if (this.#recorded.length < RECORDED_MAX) this.#recorded.push(said);
    else this.#recorded[Math.floor(this.#random() * RECORDED_MAX)] = said;
  }

  #send(from: NodeId, to: NodeId, bytes: Uint8Array): void {
    const { loss, delayMs, jitterMs } = this.#wire.weather;
    for (let copies = this.#random() < this.doubled ? 2 : 1; copies > 0; copies--)
      if (this.#random() >= loss) this.#deliver(from, to, bytes, delayMs + this.#random() * jitterMs);
  }

  #deliver(from: NodeId, to: NodeId, bytes: Uint8Array, ms: number): void {
    const [way, site] = [this.#wire.way(from, to), this.#wire.site(to)];
    this.#wire.time.after(ms + way.clogMs, () => {
      if (way.cut || site.paused || site.dark) return;
      const at: Endpoint = { host: from, port: PORT };
      this.#ears.get(to)?.onReceive(bytes, at);
    });
  }
}
