import { expect, test } from "bun:test";
import type { NodeId } from "#protocol/ids";
import { type Electorate, nextConfig } from "./voters.ts";

const nodes = (names: string) => [...names] as NodeId[];

/** Every configuration from the first to the one that stays: voters, then learners. */
function steps(voters: string, members: string, { up = members, gone = "", workers = "" } = {}): string[] {
  let electorate: Electorate = {
    self: "a" as NodeId,
    current: { voters: nodes(voters), learners: [] },
    members: nodes(members),
    workers: nodes(workers),
    up: nodes(up),
    answering: nodes(up + workers),
    gone: nodes(gone),
  };
  const seen: string[] = [];
  for (let next = nextConfig(electorate); next && seen.length < 10; next = nextConfig(electorate)) {
    electorate = { ...electorate, current: next };
    seen.push(`${next.voters.join("")}|${next.learners.join("")}`);
  }
  return seen;
}

test("voters come in pairs, and those gone for long give way to others", () => {
  expect({
    alone: steps("a", "a"),
    two: steps("a", "ab"),
    three: steps("a", "abc"),
    oneOfThreeDown: steps("a", "abc", { up: "ab" }),
    longestUp: steps("a", "abcde", { up: "aedcb" }),
    lost: steps("abc", "abcd", { up: "abd", gone: "c" }),
    lostWithoutAnother: steps("abc", "abc", { up: "ab", gone: "c" }),
    forgotten: steps("abc", "abd"),
    becomesWorker: steps("abc", "abcd", { up: "acd", workers: "b" }),
    oneIsOffAndOneBecomesWorker: steps("abc", "ab", { up: "a", workers: "b" }),
    backToTwo: steps("abc", "ab"),
    large: steps("abc", "abcdefghijklmnopq"),
    leavesOne: steps("a", "ab", { workers: "a", up: "b" }),
    leavesOneAlone: steps("a", "ab", { workers: "a", up: "" }),
    leavesThree: steps("abc", "abcd", { workers: "c", up: "abd" }),
    leavesFive: steps("abcde", "abcdefghijklmnopqr", { workers: "c", up: "abdefghijklmnopqr" }),
    leavesFiveOfWhichTwoAreGone: steps("abcde", "abcdefghijklmnopqr", {
      workers: "c",
      up: "abfghijklmnopqr",
      gone: "de",
    }),
    leavesThreeOfWhichOneIsGone: steps("abc", "abcd", { workers: "c", up: "a", gone: "b" }),
  }).toEqual({
    alone: [],
    two: ["a|b"],
    three: ["ab|c", "abc|"],
    oneOfThreeDown: ["a|bc"],
    longestUp: ["ae|bcd", "aed|bc"],
    lost: ["ab|cd", "abd|c"],
    lostWithoutAnother: [],
    forgotten: ["ab|d", "abd|"],
    becomesWorker: ["abcd|", "acd|b"],
    oneIsOffAndOneBecomesWorker: ["ab|", "a|b"],
    backToTwo: ["ab|", "a|b"],
    large: ["abcd|efghijklmnopq", "abcde|fghijklmnopq"],
    leavesOne: ["ab|", "b|a"],
    leavesOneAlone: ["a|b"],
    leavesThree: ["abcd|", "abd|c"],
    leavesFive: ["abde|cfghijklmnopqr", "abdef|cghijklmnopqr"],
    leavesFiveOfWhichTwoAreGone: [
      "abce|dfghijklmnopqr",
      "abe|cdfghijklmnopqr",
      "ab|cdefghijklmnopqr",
      "abf|cdeghijklmnopqr",
      "abfg|cdehijklmnopqr",
      "abfgh|cdeijklmnopqr",
    ],
    leavesThreeOfWhichOneIsGone: ["abc|d"],
  });
});
