import { expect, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import { freshIdentity, type Identity } from "#actors/runtime/security/identity";
import { signMemberList } from "#actors/runtime/security/member-list";
import type { Steps } from "#actors/runtime/security/steps";
import type { MemberList } from "#protocol/cluster";
import { Problem } from "#protocol/problem";
import { freshCluster } from "./genesis.ts";
import { Papers } from "./papers.ts";
import { authorityOf } from "./record.ts";

const [self, key, other] = [freshIdentity(), freshIdentity(), freshIdentity()];
const founded = await freshCluster(self, "first", 0, { clusterKey: key });
const list = signMemberList(
  { ...founded.members, version: 3, members: [...founded.members.members, memberOf(other)] },
  key,
);

function memberOf({ node, publicKey }: Identity): MemberList["members"][number] {
  const member = { name: node.slice(0, 4), joinedAt: 0, labels: {}, drained: false, excluded: false };
  return { ...member, node, key: publicKey };
}

/** The papers of a machine that holds its home's key, and how it makes certificates. */
function papersWith(steps: Steps): Papers {
  const nothing = () => {};
  return new Papers({
    identity: self,
    clock: systemClock,
    steps,
    record: () => ({ ...founded, members: list }),
    save: nothing,
    list: () => list,
    state: () => undefined,
    overtaken: () => false,
    signers: () => [],
    ask: () => Promise.reject(new Error("it holds the key")),
    renewed: nothing,
    learnt: nothing,
    expelled: nothing,
    troubled: nothing,
  });
}

test("however often a machine asks for its certificate, it is made once, and once more where that failed", async () => {
  const made: PromiseWithResolvers<{ readonly values: readonly string[] }>[] = [];
  const papers = papersWith(() => {
    const next = Promise.withResolvers<{ readonly values: readonly string[] }>();
    made.push(next);
    return next.promise;
  });
  const ask = () => papers.certificateFor(other.node).catch(({ message }: Problem) => message);
  const failing = [ask(), ask()];
  made[0]?.reject(new Problem("unavailable", "not in time"));
  const failed = await Promise.all(failing);
  const waiting = [ask(), ask()];
  made[1]?.resolve({ values: ["pem"] });
  expect([failed, await Promise.all(waiting), await ask(), made.length]).toEqual([
    ["not in time", "not in time"],
    ["pem", "pem"],
    "pem",
    2,
  ]);
});

test("a member with an older list and the same key is told the newer one without a certificate", async () => {
  const papers = papersWith(() => Promise.reject(new Problem("unavailable", "not in time")));
  const authority = authorityOf(founded);
  const [older, same] = [founded.members, list].map((known) =>
    papers.trust.newer?.(other.node, { authority, list: known }),
  );
  const another = { authority: { ...authority, pem: "of a key before" }, list: founded.members };
  const unmade = papers.trust.newer?.(other.node, another)?.catch(({ message }: Problem) => message);
  expect([await older, same, await unmade]).toEqual([{ authority, list }, undefined, "not in time"]);
});
