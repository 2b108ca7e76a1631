import { expect, test } from "bun:test";
import type { Member } from "#protocol/cluster";
import type { ClusterId } from "#protocol/ids";
import { freshIdentity, identityFromPem } from "./identity.ts";
import { isSigned, signMemberList } from "./member-list.ts";

const member = (): Member => {
  const { node, publicKey } = freshIdentity();
  return {
    node,
    key: publicKey,
    name: "studio",
    joinedAt: 1,
    labels: { room: "office" },
    drained: false,
    excluded: false,
  };
};

test("a member list holds with its cluster's signature alone, and with ids that belong to their keys", () => {
  const [ours, theirs] = [freshIdentity(), freshIdentity()];
  const list = signMemberList(
    { cluster: "c" as ClusterId, version: 1, minimumMinor: 0, members: [member(), member()] },
    ours,
  );
  const [first, second] = list.members as [Member, Member];
  const forged = { ...list, members: [{ ...first, node: second.node }, second] };
  const resigned = signMemberList(forged, ours);
  expect({
    own: isSigned(list, ours.publicKey),
    foreign: isSigned(list, theirs.publicKey),
    changed: isSigned({ ...list, version: 2 }, ours.publicKey),
    swapped: isSigned(resigned, ours.publicKey),
    readAgain: identityFromPem(ours.pem).node === ours.node,
    id: /^[a-z2-7]{52}$/.test(ours.node),
  }).toEqual({ own: true, foreign: false, changed: false, swapped: false, readAgain: true, id: true });
});
