/** Whether so few of those that vote can be reached from here that nothing can be agreed on: known before anybody waits for it. */
import type { Seen } from "#actors/discovery/ports";
import type { Clock } from "#actors/runtime/clock";
import type { NodeState } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";

export interface Votes {
  readonly self: NodeId;
  readonly voters: readonly NodeId[];
  readonly seen: readonly Pick<Seen, "node" | "state">[];
}

/** By verdict, not by a moment's doubt: one that is being dialled after a start, or is late, may answer yet. */
const GONE: readonly NodeState[] = ["dead", "away", "copied"];
/** Another that votes, and is up here, may be with the majority: it would lead within an election, which takes no longer (`electionMs`). */
const OTHERS_MS = 2000;
const LOOK_EVERY_MS = 100;

/** Looks now, and again at each call: true once no election can come that would help who asks here. */
export function cutOff(clock: Clock, votes: () => Votes): () => boolean {
  let sinceMs: number | undefined;
  return () => {
    const { self, voters, seen } = votes();
    const isGone = (node: NodeId) => seen.some((each) => each.node === node && GONE.includes(each.state));
    const left = voters.filter((node) => !isGone(node));
    // Who just came in has not heard yet who votes.
    if (voters.length === 0 || left.length * 2 > voters.length) {
      sinceMs = undefined;
      return false;
    }
    sinceMs ??= clock.nowMs();
    return left.every((node) => node === self) || clock.nowMs() - sinceMs >= OTHERS_MS;
  };
}

/** Settles as `change` does, which this node leads, or rejects once it is cut off. */
export async function unlessCut<T>(clock: Clock, votes: () => Votes, change: Promise<T>): Promise<T> {
  const isCut = cutOff(clock, votes);
  const { promise, reject } = Promise.withResolvers<never>();
  let cancel = () => {};
  const look = () => {
    if (isCut()) reject(unconfirmed());
    else cancel = clock.after(LOOK_EVERY_MS, look);
  };
  look();
  return await Promise.race([change, promise]).finally(() => cancel());
}

const MEND = {
  remedy:
    "start the others (exo nodes shows which vote), or, if they are gone for good, let a machine that is left lead: there, exo node ITS_NAME takeover",
};
const FEW = "no machine leads this home now: too few of those that vote are up";
export const noMajority = (): Problem => new Problem("unavailable", FEW, MEND);
const unconfirmed = (): Problem =>
  new Problem("unavailable", `${FEW}; what was asked for may still come into force`, MEND);
