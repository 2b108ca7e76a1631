/** A follower's side: taking a leader's entries and snapshots into the log. */
import type { Raft as Message } from "#protocol/raft";
import type { Final } from "./final.ts";
import type { RaftLog } from "./log.ts";

type Append = ReturnType<(typeof Message)["Append"]>;
type Install = ReturnType<(typeof Message)["Install"]>;

/** What the leader is told: the last entry known to be its own when `ok`, else where it should look for one. */
interface Taken {
  readonly ok: boolean;
  readonly index: number;
}

export function takeEntries(
  log: RaftLog,
  final: Final,
  { prevIndex, prevTerm, entries, commit }: Append,
): Taken {
  // What the snapshot covers is final, so it is the leader's as well.
  const covered = Math.max(0, log.snapshot.index - prevIndex);
  const start = prevIndex + covered;
  if (covered === 0 && log.termAt(prevIndex) !== prevTerm) {
    return { ok: false, index: placeToLook(log, final, prevIndex) };
  }
  log.take(start, entries.slice(covered));
  const last = Math.max(start, prevIndex + entries.length);
  final.advance(Math.min(commit, last));
  return { ok: true, index: last };
}

export function takeSnapshot(final: Final, { snapshot }: Install): Taken {
  if (snapshot.index > final.index) final.install(snapshot);
  return { ok: true, index: final.index };
}

/** Below everything of the term that stands where the leader's entry does not. */
function placeToLook(log: RaftLog, final: Final, index: number): number {
  if (index > log.lastIndex) return log.lastIndex;
  const term = log.termAt(index);
  let at = index;
  while (at > final.index && log.termAt(at) === term) at -= 1;
  return at;
}
