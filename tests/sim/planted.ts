/** Bugs that the simulator must find: each is a change of the source text, and the world that shows it. */

export interface Planted {
  readonly bug: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly world: "raft" | "home";
  /** Machines: where fewer are enough to go wrong, fewer find it sooner. */
  readonly nodes: number;
  /** The first seed that is tried: one that found it once, so that finding it again is quick. */
  readonly seed: number;
  /** A change beside it that is right in itself, and makes the bug's moment longer. */
  readonly also?: Pick<Planted, "file" | "from" | "to">;
}

/** Batches of one entry: a leader's own first entry then comes long after those of its predecessors. */
const smallBatches = {
  file: "protocol/raft.ts",
  from: "const ENTRIES_MAX = 64;",
  to: "const ENTRIES_MAX = 1;",
};

const raft = (
  bug: string,
  file: string,
  from: string,
  to: string,
  { nodes = 5, seed = 1 } = {},
): Planted => ({
  bug,
  file: `actors/runtime/raft/${file}.ts`,
  from,
  to,
  world: "raft",
  nodes,
  seed,
});

const home = (
  bug: string,
  file: string,
  from: string,
  to: string,
  { nodes = 5, seed = 1 } = {},
): Planted => ({
  bug,
  file,
  from,
  to,
  world: "home",
  nodes,
  seed,
});

export const PLANTED: readonly Planted[] = [
  {
    ...raft(
      "an entry of an old term is final by counting",
      "raft",
      "if (index <= this.#final.index || this.#log.termAt(index) !== this.#term) return false",
      "if (index <= this.#final.index) return false",
      { nodes: 3, seed: 69 },
    ),
    also: smallBatches,
  },
  raft(
    "a vote is not saved before it is given",
    "raft",
    "this.#votedFor = from;\n      this.#ports.store.saveVote(this.#term, from);",
    "this.#votedFor = from;",
    { nodes: 3, seed: 92 },
  ),
  raft(
    "two votes in one term",
    "election",
    "vote.term === voter.term && (voter.votedFor === undefined || voter.votedFor === from)",
    "vote.term === voter.term",
  ),
  raft("a vote for a log that lacks entries", "election", "if (!holdsAll) return false;", ""),
  raft(
    "half of the voters are a majority",
    "raft",
    "this.#votes.size * 2 <= this.config.voters.length",
    "(this.#votes.size + 1) * 2 <= this.config.voters.length",
  ),
  raft(
    "entries of a leader of the past are taken",
    "raft",
    "if (term < this.#term) {\n      this.#answer(from, false, this.#log.lastIndex);\n      return true;\n    }",
    "",
    { seed: 15 },
  ),
  raft(
    "entries are taken behind ones that are not the leader's",
    "following",
    "covered === 0 && log.termAt(prevIndex) !== prevTerm",
    "covered === 0 && log.termAt(prevIndex) === undefined",
  ),
  raft(
    "an entry that conflicts is kept",
    "log",
    "this.termAt(prevIndex + 1 + i) !== entry.term &&",
    "this.termAt(prevIndex + 1 + i) === undefined && entry.term > 0 &&",
  ),
  raft(
    "more is final than the leader sent",
    "following",
    "final.advance(Math.min(commit, last));",
    "final.advance(Math.min(commit, log.lastIndex));",
  ),
  raft(
    "entries are acknowledged before they are on disk",
    "log",
    "    this.#store.write(index, added);\n",
    "",
  ),
  raft("a snapshot is kept but not restored", "final", "this.#state.restore(snapshot.state);", ""),
  raft(
    "a majority is counted one short",
    "replication",
    "[Math.floor(voters.length / 2)] ?? 0",
    "[Math.floor(voters.length / 2) - 1] ?? 0",
  ),
  home(
    "each answer about a missed machine causes the next question",
    "actors/discovery/peer-machine.ts",
    'HeardElsewhere: "vouched",',
    'HeardElsewhere: { target: "suspect", reenter: true },',
  ),
  home(
    "a machine that came back stays dead",
    "actors/discovery/peer-machine.ts",
    'entry: ["closeLinks", "dial", { type: "announce", params: { state: "dead" } }],\n      on: { LinkUp: "up", Goodbye: "away" },',
    'entry: ["closeLinks", "rest", { type: "announce", params: { state: "dead" } }],\n      on: { Goodbye: "away" },',
  ),
  home(
    "a machine whose process is gone is missed for six seconds more",
    "actors/discovery/peer-machine.ts",
    'on: { LinkUp: "up", Refused: "dead", Goodbye: "away" },\n      initial: "missed",\n      states: {\n        missed: {',
    'on: { LinkUp: "up", Goodbye: "away" },\n      initial: "late",\n      states: {\n        late: { after: { 6000: "missed" } },\n        missed: {',
  ),
  home(
    "who lost its log is believed to hold what it once held",
    "actors/runtime/raft/replication.ts",
    "      follower.match = Math.min(follower.match, index);\n",
    "",
  ),
  home(
    "a change is confirmed before a majority holds it",
    "actors/runtime/raft/raft.ts",
    "    this.#feedAll();\n    this.#commitMajority();\n    return final;",
    "    this.#feedAll();\n    this.#commitMajority();\n    final.catch(() => {});\n    return Promise.resolve({ term: entry.term, index: this.#log.lastIndex });",
  ),
  {
    ...home(
      "links with a machine that is off the list stay open",
      "actors/supervisor/cluster/links.ts",
      "    this.#network.recheck();\n",
      "",
    ),
    also: {
      file: "actors/discovery/peers.ts",
      from: "      peer.stop();\n      this.#peers.delete(node);",
      to: "      this.#peers.delete(node);",
    },
  },
  {
    ...home(
      "who is off the list gets a link when it dials",
      "actors/supervisor/cluster/papers.ts",
      "const isMember = (node: NodeId) => list().members.some((member) => member.node === node);\n    return {",
      "const isMember = (_: NodeId) => true;\n    return {",
    ),
    also: {
      file: "actors/discovery/peers.ts",
      from: "    else link.close();",
      to: "    else this.#ports.linked(link.peer.node, link);",
    },
  },
  home(
    "a question that came to nothing is kept for ever",
    "actors/runtime/questions.ts",
    "    this.#open.delete(id);\n    question.reject(problem);",
    "    question.reject(problem);",
  ),
  home(
    "what is refused is told with all that it says",
    "actors/supervisor/cluster/access.ts",
    "ports.refused(node, why);",
    "ports.refused(node, why + JSON.stringify(envelope.message));",
  ),
  home(
    "bytes that do not match their checksum are read",
    "actors/supervisor/cluster/tallied-rows.ts",
    "if (checksum(bytes) !== expected)",
    "if (expected === undefined)",
  ),
];
