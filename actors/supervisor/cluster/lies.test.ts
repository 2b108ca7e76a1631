import { expect, test } from "bun:test";
import { TAKEOVER } from "#actors/runtime/raft/ports";
import { Raft } from "#actors/runtime/raft/raft";
import type { NodeId } from "#protocol/ids";
import { Raft as Message, type RaftMessage } from "#protocol/raft";
import { lieIn, mayHaveTakenOver } from "./lies.ts";

const authority = { number: 1, pem: "", before: [] };
const far = (term: number): RaftMessage => Message.AppendReply({ term, ok: true, index: 1 });

test("T28 who does not vote can neither use up the terms nor end one by a vote that it has not", () => {
  const told = [far(1005), far(1006), Message.Vote({ term: 1006, lastIndex: 1, lastTerm: 1, pre: false })];
  const lies = [true, false].map((votes) =>
    told.map((message) => lieIn(message, { authority, term: 5, lastIndex: 1, votes })),
  );
  const config = { voters: ["a", "b"] as NodeId[], learners: ["w"] as NodeId[] };
  const raft = new Raft("a" as NodeId, {
    clock: { nowMs: () => 0, epochSeconds: () => 0, freshId: () => "", after: () => () => {} },
    random: () => 0.5,
    store: {
      load: () => ({
        term: 5,
        snapshot: { index: 0, term: 0, config, state: new Uint8Array() },
        entries: [],
      }),
      saveVote: () => {},
      write: () => {},
      compact: () => {},
    },
    send: () => {},
    state: { apply: () => {}, snapshot: () => new Uint8Array(), restore: () => {} },
    changed: () => {},
  });
  const terms = ["w", "b"].map((from) => {
    raft.receive(from as NodeId, Message.VoteReply({ term: 9, granted: false, pre: false }));
    return raft.term;
  });
  expect({ lies, terms }).toEqual({
    lies: [
      [undefined, undefined, undefined],
      [undefined, "term 1006 is beyond any that follows 5", undefined],
    ],
    terms: [5, 9],
  });
});

test("an answer by the term of a takeover is no lie to be told of, one of any other far term is", () => {
  const vote = Message.Vote({ term: 5 + TAKEOVER, lastIndex: 1, lastTerm: 1, pre: false });
  const told = [far(6), far(1006), far(5 + TAKEOVER), far(7 + 3 * TAKEOVER), far(2000 * TAKEOVER), vote];
  expect(told.map((message) => mayHaveTakenOver(message, 5))).toEqual([
    false,
    false,
    true,
    true,
    false,
    false,
  ]);
});
