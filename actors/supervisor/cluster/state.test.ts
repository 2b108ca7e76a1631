import { describe, expect, test } from "bun:test";
import { freshIdentity } from "#actors/runtime/security/identity";
import { signMemberList } from "#actors/runtime/security/member-list";
import type { MemberChange } from "#protocol/cluster";
import { firstSnapshot, freshCluster, freshDiscoveryKey } from "./genesis.ts";
import { changed } from "./member-changes.ts";
import { authorityOf } from "./record.ts";
import { applied, type ClusterState, decodeState, encodeCommand, encodeState } from "./state.ts";

const me = freshIdentity();
const clusterKey = freshIdentity();
const record = await freshCluster(me, "mac", 5, { clusterKey });
const authority = authorityOf(record);
const start = decodeState(firstSnapshot(record, me).state, authority);

function after(state: ClusterState, ...changes: readonly MemberChange[]): ClusterState {
  return changes.reduce((before, change) => {
    const next = changed(before.list, change, 9);
    if (!next) return before;
    const list = signMemberList(next, clusterKey);
    return applied(before, encodeCommand({ type: "list", list }));
  }, state);
}

const refusal = (run: () => unknown): string => {
  try {
    run();
    return "taken";
  } catch (error) {
    return (error as Error).message;
  }
};

describe("the cluster's state", () => {
  test("lets machines in, tells equal names apart, and follows what users change", () => {
    const other = freshIdentity();
    const { list } = after(
      start,
      { type: "admit", key: other.publicKey, name: "mac" },
      { type: "admit", key: other.publicKey, name: "again" },
      { type: "label", node: other.node, labels: { room: "attic", old: "x" } },
      { type: "label", node: other.node, labels: { old: "" } },
      { type: "drain", node: other.node },
      { type: "exclude", node: other.node },
      { type: "resume", node: other.node },
      { type: "rename", node: me.node, name: "studio,*\u0007\n" },
    );
    expect({ version: list.version, members: list.members }).toEqual({
      version: 8,
      members: [
        { ...record.members.members[0], name: "studio--" },
        {
          node: other.node,
          key: other.publicKey,
          name: "mac-2",
          joinedAt: 9,
          labels: { room: "attic" },
          drained: false,
          excluded: false,
        },
      ] as never,
    });
  });

  test("cuts no sign of a name in two, and takes no label that moves a cursor", () => {
    const named = after(start, { type: "rename", node: me.node, name: `${"x".repeat(59)}\u{1f5a5}` });
    const label = (labels: Record<string, string>) =>
      refusal(() => after(start, { type: "label", node: me.node, labels }));
    expect([
      named.list.members[0]?.name,
      label({ a: "\u001b[31m" }),
      label({ "a b": "x" }),
      label({ room: "Büro" }),
    ]).toEqual([
      "x".repeat(59),
      "the label a has control characters",
      '"a b" is no name for a label',
      "taken",
    ]);
  });

  test("T7 T27 refuses what is not signed, skips a version, or is no command", () => {
    const next = { ...record.members, version: 2 };
    const signed = (list: object) =>
      encodeCommand({ type: "list", list: signMemberList({ ...next, ...list }, clusterKey) });
    const stranger = signMemberList(next, freshIdentity());
    const twice = [...record.members.members, ...record.members.members];
    const tries = [
      encodeCommand({ type: "list", list: stranger }),
      encodeCommand({ type: "list", list: record.members }),
      signed({ version: 3 }),
      signed({ cluster: "other" }),
      signed({ members: twice }),
      encodeCommand({ type: "rotate", key: freshDiscoveryKey(3) }),
      new Uint8Array([0xc1]),
      new Uint8Array(70_000),
    ];
    expect(tries.map((bytes) => refusal(() => applied(start, bytes)))).toMatchInlineSnapshot(`
      [
        "the member list is not signed by the cluster's key",
        "member list 1 does not follow 1",
        "member list 3 does not follow 1",
        "the member list is another cluster's",
        "a member is on the list twice",
        "discovery key 3 does not follow 1",
        "the change is not one that this exo knows",
        "the change is not one that this exo knows",
      ]
    `);
  });

  test("keeps the key before the newest one, and settings until they are taken back", () => {
    const commands = [
      { type: "rotate", key: freshDiscoveryKey(2) },
      { type: "rotate", key: freshDiscoveryKey(3) },
      { type: "set", name: "models.auto_pull", value: "true" },
      { type: "set", name: "api.origins", value: "x" },
      { type: "set", name: "api.origins" },
    ] as const;
    const state = commands.reduce((before, each) => applied(before, encodeCommand(each)), start);
    const again = decodeState(encodeState(state), authority);
    expect({ keys: again.discoveryKeys.map(({ number }) => number), settings: again.settings }).toEqual({
      keys: [2, 3],
      settings: { "models.auto_pull": "true" },
    });
    expect(again).toEqual(state);
  });

  test("refuses to forget the last machine, and to change one that it does not know", () => {
    const node = freshIdentity().node;
    const tries: readonly MemberChange[] = [
      { type: "forget", node: me.node },
      { type: "rename", node, name: "x" },
      { type: "rename", node: me.node, name: "\u0000" },
    ];
    expect(
      tries.map((change) => refusal(() => changed(start.list, change, 0)).replace(node.slice(0, 8), "ID")),
    ).toEqual([
      "the last machine of a home cannot be forgotten",
      "ID is no machine of this home",
      "a machine's name must have a letter that can be seen",
    ]);
  });
});
