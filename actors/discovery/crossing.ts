/** Of two links between two machines that dial each other at once one stays, which both take for the same: that of the smaller id. */
import type { Link } from "#actors/runtime/transport/network";
import type { NodeId } from "#protocol/ids";

export class Crossing {
  readonly #self: NodeId;
  /** The link for which another was turned away. */
  #kept: Link | undefined;

  constructor(self: NodeId) {
    this.#self = self;
  }

  /**
   * Whether `link` is turned away for `open`, which is `isRecent`: came so lately that both may have been dialled at once. Dials cross
   * once. Whoever dials again has no link: the one that is open here it has closed, and that word is still on its way.
   */
  turnsAway(link: Link, open: Link | undefined, isRecent: boolean): boolean {
    if (!open || open.peer.boot !== link.peer.boot || !isRecent) return false;
    const hasCrossed = open.dialled !== link.dialled; // Two of one side did not cross.
    const isPreferred = link.dialled === this.#self < link.peer.node;
    if (!hasCrossed || isPreferred || this.#kept === open) return false;
    this.#kept = open;
    return true;
  }
}
