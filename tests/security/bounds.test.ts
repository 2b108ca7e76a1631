/** What members may make grow, and how far: reliability.md T31; and what lists and files may not become: T7, T15. */
import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freshIdentity } from "#actors/runtime/security/identity";
import { signMemberList } from "#actors/runtime/security/member-list";
import { freshCluster, freshDiscoveryKey } from "#actors/supervisor/cluster/genesis";
import { changed } from "#actors/supervisor/cluster/member-changes";
import { authorityOf } from "#actors/supervisor/cluster/record";
import { applied, type ClusterState, encodeCommand, encodeState } from "#actors/supervisor/cluster/state";
import { nodeIdentity } from "#actors/supervisor/home/node-key";
import { MEMBERS_MAX, type MemberChange, type MemberList } from "#protocol/cluster";
import { Problem } from "#protocol/problem";

const self = freshIdentity();
const clusterKey = freshIdentity();
const founded = await freshCluster(self, "studio", 0, { clusterKey });
const start: ClusterState = {
  list: founded.members,
  discoveryKeys: [freshDiscoveryKey(1)],
  settings: {},
  authority: authorityOf(founded),
  boxes: {},
};

/** The message of what it throws. */
function refusal(run: () => unknown): string {
  try {
    run();
    return "taken";
  } catch (error) {
    if (error instanceof Problem) return error.message;
    throw error;
  }
}

const after = (list: MemberList, change: MemberChange): MemberList => {
  const next = changed(list, change, 0);
  return next ? signMemberList(next, clusterKey) : list;
};

/** Identities cost more than what is tested: any 32 bytes are a key to a list. */
const keyOf = (i: number) => new Uint8Array(Buffer.from(i.toString(16).padStart(64, "0"), "hex"));

test("T31 a home has so many members and no more, and those that went leave nothing behind", () => {
  let list = founded.members;
  for (let i = 1; i < MEMBERS_MAX; i++) list = after(list, { type: "admit", key: keyOf(i), name: "mac" });
  const full = refusal(() => after(list, { type: "admit", key: keyOf(999_999), name: "mac" }));
  const { length } = encodeState({ ...start, list });
  for (let i = 0; i < 500; i++) {
    const last = list.members.at(-1);
    if (last) list = after(list, { type: "forget", node: last.node });
    list = after(list, { type: "admit", key: keyOf(10_000 + i), name: "mac" });
  }
  const grown = encodeState({ ...start, list }).length - length;
  expect({ full, members: list.members.length, flat: Math.abs(grown) < 1024 }).toEqual({
    full: `${MEMBERS_MAX} machines belong to this home already`,
    members: MEMBERS_MAX,
    flat: true,
  });
});

test("T31 ten thousand settings, keys and labels leave a state of bounded size", () => {
  let state = start;
  const refused = new Set<string>();
  const apply = (bytes: Uint8Array) => {
    const why = refusal(() => {
      state = applied(state, bytes);
    });
    if (why !== "taken") refused.add(why);
  };
  for (let i = 0; i < 10_000; i++) {
    apply(encodeCommand({ type: "set", name: `name.${i}`, value: "x".repeat(4096) }));
    if (i < 100) apply(encodeCommand({ type: "rotate", key: freshDiscoveryKey(i + 2) }));
  }
  const labels = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`label${i}`, "x"]));
  expect({
    settings: Object.keys(state.settings).length,
    keys: state.discoveryKeys.map(({ number }) => number),
    refused: [...refused],
    labels: refusal(() => after(start.list, { type: "label", node: self.node, labels })),
  }).toEqual({
    settings: 256,
    keys: [100, 101],
    refused: ["256 settings are set already"],
    labels: "17 labels; a machine may have 16",
  });
});

test("T7 T34 no list may be older than the one that is known, allow older protocols, or come from another home", () => {
  const second = after(start.list, { type: "admit", key: keyOf(1), name: "mini" });
  const state = applied({ ...start, list: { ...start.list, minimumMinor: 3 } }, listed(second, 3));
  const fate = (list: MemberList) => refusal(() => applied(state, encodeCommand({ type: "list", list })));
  const signed = (part: Partial<MemberList>) =>
    signMemberList({ ...second, minimumMinor: 3, version: 3, ...part }, clusterKey);
  expect([
    fate(signed({ minimumMinor: 2 })),
    fate(signed({ version: 1, members: start.list.members })),
    fate(signed({ cluster: "another" as MemberList["cluster"] })),
    fate(signMemberList({ ...second, minimumMinor: 3, version: 3 }, freshIdentity())),
    fate(signed({})),
  ]).toEqual([
    "a member list may not lower the oldest protocol version",
    "member list 1 does not follow 2",
    "the member list is another cluster's",
    "the member list is not signed by the cluster's key",
    "taken",
  ]);

  function listed(list: MemberList, minimumMinor: number): Uint8Array {
    return encodeCommand({ type: "list", list: signMemberList({ ...list, minimumMinor }, clusterKey) });
  }
});

test("T15 a machine's key that others can read, or whose folder they can enter, is refused with what repairs it", async () => {
  const home = mkdtempSync(join(tmpdir(), "exo-wide-"));
  const folder = join(home, "node");
  const path = join(folder, "key.pem");
  const said = () =>
    nodeIdentity(home).then(
      () => "read",
      ({ message, remedy }: Problem) => `${message} → ${remedy}`.replaceAll(home, "HOME"),
    );
  try {
    const fates = [await said()];
    chmodSync(path, 0o640);
    fates.push(await said());
    chmodSync(path, 0o600);
    chmodSync(folder, 0o711);
    fates.push(await said());
    expect(fates).toEqual([
      "read",
      "HOME/node/key.pem can be read by others on this machine (mode 640) → chmod 600 'HOME/node/key.pem'",
      "HOME/node can be read by others on this machine (mode 711) → chmod 700 'HOME/node'",
    ]);
  } finally {
    rmSync(home, { recursive: true });
  }
});
