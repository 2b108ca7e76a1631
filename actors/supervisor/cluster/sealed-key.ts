/**
 * The cluster's private key as it lies on disks and in the log: sealed to the node key of who may sign with it (reliability.md
 * 3.2). A copy of `cluster.db` alone, or what a member that is no trustee holds, gives it to nobody; who also has the same
 * machine's `key.pem`, or is root there while exo runs, has it.
 */
import { verify } from "node:crypto";
import { Encoder } from "@msgpack/msgpack";
import { type Content, openedBox, sealedToSelf } from "#actors/runtime/security/box";
import { sealedTo } from "#actors/runtime/security/box-to";
import { type Identity, identityFromPem, publicKeyOf, signBytes } from "#actors/runtime/security/identity";
import type { Steps } from "#actors/runtime/security/steps";
import type { ClusterId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { ClusterRecord, ClusterStore } from "./record.ts";

/** What boxes with the key of this cluster are about. */
export const about = (cluster: ClusterId): string => `cluster key ${cluster}`;

const contentOf = ({ pem }: Pick<Identity, "pem">, cluster: ClusterId): Content => ({
  bytes: new TextEncoder().encode(pem),
  about: about(cluster),
});

/** `to`: a member's raw Ed25519 key; undefined where that has no private part. Throws Problem. */
export const sealedKey = (
  to: Uint8Array,
  key: Pick<Identity, "pem">,
  cluster: ClusterId,
  steps?: Steps,
): Promise<Uint8Array | undefined> => sealedTo(to, contentOf(key, cluster), steps);

/** The same for this node. */
export const ownSealedKey = (
  self: Pick<Identity, "privateKey">,
  key: Pick<Identity, "pem">,
  cluster: ClusterId,
): Uint8Array => sealedToSelf(self, contentOf(key, cluster));

/** Undefined where the box is another's, or holds no key: anybody can seal, and only what opens says what it was. */
export function unsealedKey(identity: Identity, box: Uint8Array, cluster: ClusterId): Identity | undefined {
  const bytes = openedBox(identity, box, about(cluster));
  try {
    return bytes && identityFromPem(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** The cluster's key, sealed to some of the members. */
export interface Entrusting {
  readonly cluster: ClusterId;
  /** Which of the cluster's keys. */
  readonly number: number;
  readonly boxes: Readonly<Record<string, Uint8Array>>;
}

const encoder = new Encoder({ sortKeys: true });
const boxesBytes = ({ cluster, number, boxes }: Entrusting): Uint8Array =>
  encoder.encode(["exo cluster boxes 1", cluster, number, boxes]);

/** By the key that is in the boxes: who does not hold it can neither hand it out nor put nonsense in its place. */
export const signedBoxes = (key: Pick<Identity, "privateKey">, trust: Entrusting): Uint8Array =>
  signBytes(key, boxesBytes(trust));

/** `key`: raw Ed25519 of the cluster. */
export const areSignedBoxes = (key: Uint8Array, trust: Entrusting, proof: Uint8Array): boolean =>
  verify(null, boxesBytes(trust), publicKeyOf(key), proof);

/** The stored record; a key that an early version left in the clear is sealed first. */
export function sealedRecord(store: ClusterStore, self: Identity): ClusterRecord | undefined {
  const record = store.loadRecord();
  if (record?.clusterKeyPem === undefined) return record;
  const { clusterKeyPem, ...rest } = record;
  const clusterKeyBox = ownSealedKey(self, identityFromPem(clusterKeyPem), record.cluster);
  const kept = { ...rest, clusterKeyBox };
  store.saveRecord(kept);
  return kept;
}
