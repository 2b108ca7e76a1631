/** The signed list that alone decides who belongs to a cluster. */
import { verify } from "node:crypto";
import { Encoder } from "@msgpack/msgpack";
import type { MemberList } from "#protocol/cluster";
import { type Identity, nodeIdOf, publicKeyOf, signBytes } from "./identity.ts";

const encoder = new Encoder({ sortKeys: true, ignoreUndefined: true });

/** What is signed: the list without its signature, as msgpack with sorted keys, so that the same list has the same bytes. */
function memberListBytes({ signature: _, ...rest }: MemberList): Uint8Array {
  return encoder.encode(["exo member list 1", rest]);
}

export function signMemberList(
  list: Omit<MemberList, "signature">,
  clusterKey: Pick<Identity, "privateKey">,
): MemberList {
  const unsigned = { ...list, signature: new Uint8Array(64) };
  return { ...list, signature: signBytes(clusterKey, memberListBytes(unsigned)) };
}

/** Whether the cluster's key signed it, and every entry's id is that of its key. */
export function isSigned(list: MemberList, clusterPublicKey: Uint8Array): boolean {
  const whole = list.members.every(({ node, key }) => nodeIdOf(key) === node);
  return whole && verify(null, memberListBytes(list), publicKeyOf(clusterPublicKey), list.signature);
}
