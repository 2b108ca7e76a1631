import { expect, test } from "bun:test";
import { sealedToSelf } from "#actors/runtime/security/box";
import { freshIdentity } from "#actors/runtime/security/identity";
import type { ClusterId } from "#protocol/ids";
import { areSignedBoxes, ownSealedKey, sealedKey, signedBoxes, unsealedKey } from "./sealed-key.ts";

const cluster = "home" as ClusterId;

test("the cluster's key opens where it was sealed to, in its own home; a box with something else in it is none", async () => {
  const [holder, other, key] = [freshIdentity(), freshIdentity(), freshIdentity()];
  const box = (await sealedKey(holder.publicKey, key, cluster)) ?? new Uint8Array();
  const content = { bytes: new TextEncoder().encode("nonsense"), about: `cluster key ${cluster}` };
  const nonsense = sealedToSelf(holder, content);
  expect([
    unsealedKey(holder, box, cluster)?.node,
    unsealedKey(holder, ownSealedKey(holder, key, cluster), cluster)?.node,
    unsealedKey(other, box, cluster),
    unsealedKey(holder, box, "elsewhere" as ClusterId),
    unsealedKey(holder, nonsense, cluster),
  ]).toEqual([key.node, key.node, undefined, undefined, undefined]);
});

test("who hands the key out proves to hold it, for these machines, this key and this home", () => {
  const [key, thief] = [freshIdentity(), freshIdentity()];
  const [a, b] = [new Uint8Array([1]), new Uint8Array([2])];
  const boxes: Record<string, Uint8Array> = { a, b };
  const trust = { cluster, number: 2, boxes };
  const proof = signedBoxes(key, trust);
  const holds = (part: Partial<typeof trust>, by = proof) =>
    areSignedBoxes(key.publicKey, { ...trust, ...part }, by);
  expect([
    holds({ boxes: { b, a } }),
    holds({ boxes: { a } }),
    holds({ number: 3 }),
    holds({ cluster: "elsewhere" as ClusterId }),
    holds({}, signedBoxes(thief, trust)),
  ]).toEqual([true, false, false, false, false]);
});
