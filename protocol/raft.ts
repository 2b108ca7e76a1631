/**
 * The replicated log between nodes: Raft (https://raft.github.io/raft.pdf) with the pre-vote of section 9.6 of the thesis
 * (https://web.stanford.edu/~ouster/cgi-bin/papers/OngaroPhD.pdf), voters and learners, and whole-state snapshots.
 */
import { type Static, Type as t } from "@sinclair/typebox";
import { NodeId } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";

const counter = t.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** A command of the replicated state is one user's action: names and keys, never text or tensors. */
const COMMAND_BYTES_MAX = 64 * 1024;
/** Members, settings and placements of the largest cluster. */
const STATE_BYTES_MAX = 4 * 1024 * 1024;
const ENTRIES_MAX = 64;
const VOTERS_MAX = 5;
const NODES_MAX = 256;

/** Who votes, and who only follows. */
export const RaftConfig = t.Object({
  voters: t.Array(NodeId, { maxItems: VOTERS_MAX }),
  learners: t.Array(NodeId, { maxItems: NODES_MAX }),
});
export type RaftConfig = Static<typeof RaftConfig>;

/** Either a command of the state, or a change of who votes (in force as soon as it lies in the log), or neither: a new leader's first. */
export const RaftEntry = t.Object({
  term: counter,
  command: t.Optional(t.Uint8Array({ maxByteLength: COMMAND_BYTES_MAX })),
  config: t.Optional(RaftConfig),
});
export type RaftEntry = Static<typeof RaftEntry>;

export const RaftSnapshot = t.Object({
  index: counter,
  term: counter,
  config: RaftConfig,
  state: t.Uint8Array({ maxByteLength: STATE_BYTES_MAX }),
});
export type RaftSnapshot = Static<typeof RaftSnapshot>;

/** `pre` asks whether a vote would be granted, and changes nothing at either side. */
export const Raft = inbox("Raft", {
  Vote: { term: counter, lastIndex: counter, lastTerm: counter, pre: t.Boolean() },
  VoteReply: { term: counter, granted: t.Boolean(), pre: t.Boolean() },
  Append: {
    term: counter,
    prevIndex: counter,
    prevTerm: counter,
    entries: t.Array(RaftEntry, { maxItems: ENTRIES_MAX }),
    commit: counter,
  },
  /** `index`: the last entry known to be the leader's when `ok`; else where the leader should look for one. */
  AppendReply: { term: counter, ok: t.Boolean(), index: counter },
  Install: { term: counter, snapshot: RaftSnapshot },
  /** The leader leaves and this node should stand at once. */
  Stand: { term: counter },
});
export type RaftMessage = InboxMessage<typeof Raft>;

export { COMMAND_BYTES_MAX, ENTRIES_MAX };
