/** Links for tensors between this node and the others: one lane to each, and whose a link is that another node has opened. */
import type { Clock } from "#actors/runtime/clock";
import { DataLane } from "#actors/runtime/transport/data-lane";
import type { Link } from "#actors/runtime/transport/network";
import type { Envelope } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";
import { type AccessPorts, isShared, laneRefusal, type Placed } from "./access.ts";

export interface LanesPorts extends Pick<AccessPorts, "self" | "refused" | "roleOf"> {
  readonly clock: Clock;
  /** Models on several machines, as this node knows them to be agreed. */
  readonly instances: () => Placed;
  /** Throws Problem. */
  readonly dial: (node: NodeId, signal: AbortSignal) => Promise<Link>;
  /** A link that is for measuring. */
  readonly measure: (link: Link) => void;
}

/** Links of one node that have said nothing yet: it opens one for its workers, and one for each measurement. */
const SILENT_MAX = 4;

export class Lanes {
  readonly #ports: LanesPorts;
  readonly #lanes = new Map<NodeId, DataLane>();
  readonly #silent = new Map<NodeId, Set<Link>>();

  constructor(ports: LanesPorts) {
    this.#ports = ports;
  }

  /** The lane to a node, which is dialled when something is sent by it. */
  open(node: NodeId): DataLane {
    const known = this.#lanes.get(node);
    if (known) return known;
    const { clock, dial, refused, self, roleOf, instances } = this.#ports;
    const lane = new DataLane({
      clock,
      name: node.slice(0, 8),
      dial: (signal) => dial(node, signal),
      refusal(envelope) {
        const why = laneRefusal(envelope, { self, roleOf });
        if (why !== undefined) refused(node, why);
        return why;
      },
      isStray: (envelope) => !isShared(envelope, instances()),
    });
    this.#lanes.set(node, lane);
    return lane;
  }

  close(node: NodeId): void {
    this.#lanes.get(node)?.close();
    this.#lanes.delete(node);
  }

  /** Whose it is, its first word tells. */
  accept(link: Link): void {
    const { node } = link.peer;
    const silent = this.#silent.get(node) ?? new Set();
    this.#silent.set(node, silent.add(link));
    const [oldest] = silent;
    if (oldest && silent.size > SILENT_MAX) {
      silent.delete(oldest);
      oldest.close();
    }
    const settle = () => {
      silent.delete(link);
      if (silent.size === 0) this.#silent.delete(node);
    };
    const first = (envelope: Envelope, hand: () => void) => {
      settle();
      link.onReceive = () => {};
      link.onBody = () => {};
      const lane = this.#lanes.get(node);
      if (envelope.message.type === "Topology.BurstPart") this.#ports.measure(link);
      else if (lane) lane.accept(link);
      else return link.close();
      hand();
    };
    link.onClose = settle;
    link.onReceive = (envelope) => first(envelope, () => link.onReceive(envelope));
    link.onBody = (envelope, body) => first(envelope, () => link.onBody(envelope, body));
  }
}
