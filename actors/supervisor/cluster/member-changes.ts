/** What a user's change makes of a member list; signing and agreeing come after. */
import { nodeIdOf } from "#actors/runtime/security/identity";
import { MEMBERS_MAX, type Member, type MemberChange, type MemberList, type Role } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { NAME_MAX, plainName } from "#protocol/node";
import { Problem } from "#protocol/problem";

const LABELS_MAX = 16;
const LABEL_NAME = /^[\w.-]{1,32}$/;
/** For the number that tells two of one name apart: `-256`. */
const COUNT_ROOM = 4;

type Unsigned = Omit<MemberList, "signature">;

/** The next list, or the same one when nothing changes. Throws Problem `notFound`, `invalid` or `doesNotFit`. */
export function changed(list: MemberList, change: MemberChange, nowSeconds: number): Unsigned | undefined {
  const { signature: _, ...rest } = list;
  const members = changedMembers(list.members, change, nowSeconds);
  return members === list.members ? undefined : { ...rest, version: list.version + 1, members: [...members] };
}

function changedMembers(
  members: readonly Member[],
  change: MemberChange,
  nowSeconds: number,
): readonly Member[] {
  switch (change.type) {
    case "admit":
      return admitted(members, change, nowSeconds);
    case "rename":
      return replaced(members, change.node, {
        name: uniqueName(members, visibleName(change.name), change.node),
      });
    case "label":
      return relabelled(members, change.node, change.labels);
    case "drain":
      return replaced(members, change.node, { drained: true });
    case "exclude":
      return replaced(members, change.node, { excluded: true });
    case "resume":
      return replaced(members, change.node, { drained: false, excluded: false });
    case "forget":
      return forgotten(members, change.node);
    case "role":
      return withRole(members, change.node, change.role);
    case "rotate":
      return [...members];
  }
}

function admitted(
  members: readonly Member[],
  { key, name, role }: Extract<MemberChange, { type: "admit" }>,
  joinedAt: number,
): readonly Member[] {
  const node = nodeIdOf(key);
  if (members.some((member) => member.node === node)) return members;
  if (members.length >= MEMBERS_MAX)
    throw new Problem("doesNotFit", `${MEMBERS_MAX} machines belong to this home already`, {
      remedy: "forget one that is gone: exo node NAME forget",
    });
  const unique = uniqueName(members, visibleName(name), node);
  const fresh = { node, key, name: unique, joinedAt, labels: {}, drained: false, excluded: false };
  return [...members, { ...fresh, ...(role && { role }) }];
}

function withRole(members: readonly Member[], node: NodeId, role: Role): readonly Member[] {
  const { role: before, ...rest } = known(members, node);
  if ((before ?? "full") === role) return members;
  const after: Member = role === "worker" ? { ...rest, role } : rest;
  return members.map((member) => (member.node === node ? after : member));
}

function forgotten(members: readonly Member[], node: NodeId): readonly Member[] {
  known(members, node);
  if (members.length === 1) throw new Problem("invalid", "the last machine of a home cannot be forgotten");
  return members.filter((member) => member.node !== node);
}

function relabelled(members: readonly Member[], node: NodeId, labels: Readonly<Record<string, string>>) {
  for (const [name, value] of Object.entries(labels)) checkLabel(name, value);
  const merged = Object.entries({ ...known(members, node).labels, ...labels }).filter(
    ([, value]) => value !== "",
  );
  if (merged.length > LABELS_MAX)
    throw new Problem("invalid", `${merged.length} labels; a machine may have ${LABELS_MAX}`);
  return replaced(members, node, { labels: Object.fromEntries(merged) });
}

function checkLabel(name: string, value: string): void {
  if (!LABEL_NAME.test(name))
    throw new Problem("invalid", `${JSON.stringify(name)} is no name for a label`, {
      param: "labels",
      remedy: "use up to 32 letters, digits and . _ -",
    });
  if (/\p{Cc}/u.test(value))
    throw new Problem("invalid", `the label ${name} has control characters`, { param: `labels.${name}` });
}

function replaced(members: readonly Member[], node: NodeId, change: Partial<Member>): readonly Member[] {
  const before = known(members, node);
  const after = { ...before, ...change };
  if (Bun.deepEquals(before, after)) return members;
  return members.map((member) => (member === before ? after : member));
}

function known(members: readonly Member[], node: NodeId): Member {
  const found = members.find((member) => member.node === node);
  if (found) return found;
  throw new Problem("notFound", `${node.slice(0, 8)} is no machine of this home`, {
    remedy: "exo nodes lists them",
  });
}

/** Without the comma that parts names, and the star that marks who leads. */
function visibleName(name: string): string {
  const plain = plainName(name, NAME_MAX - COUNT_ROOM).replaceAll(/[,*]/g, "-");
  if (plain !== "") return plain;
  throw new Problem("invalid", "a machine's name must have a letter that can be seen", { param: "name" });
}

/** Two machines of one name are told apart: `mac`, `mac-2`. */
function uniqueName(members: readonly Member[], wanted: string, node: NodeId): string {
  const taken = new Set(members.filter((member) => member.node !== node).map(({ name }) => name));
  let name = wanted;
  for (let count = 2; taken.has(name); count++) name = `${wanted}-${count}`;
  return name;
}
