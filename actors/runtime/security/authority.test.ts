import { expect, test } from "bun:test";
import { type Authority, SUCCESSIONS_MAX } from "#protocol/cluster";
import type { ClusterId } from "#protocol/ids";
import { followed, isWhole, successor } from "./authority.ts";
import { clusterCertificate } from "./certificate.ts";
import { freshIdentity } from "./identity.ts";

const cluster = "home" as ClusterId;
const keys = Array.from({ length: 12 }, () => freshIdentity());
const pems = await Promise.all(keys.map((key, i) => clusterCertificate(key, cluster, i + 1)));
/** The home's key after each of its changes. */
const authorities: Authority[] = [{ number: 1, pem: pems[0] ?? "", before: [] }];
for (const [i, pem] of pems.slice(1).entries())
  authorities.push(successor(authorities[i] as Authority, pem, keys[i] ?? freshIdentity()));
const at = (number: number) => authorities[number - 1] as Authority;

test("a key is followed through all its successors, as far back as there are proofs", () => {
  const numbers = (known: number, next: number) => followed(at(known), at(next))?.number;
  expect({
    same: numbers(2, 2),
    one: numbers(1, 2),
    two: numbers(1, 3),
    most: numbers(4, 4 + SUCCESSIONS_MAX),
    more: numbers(3, 4 + SUCCESSIONS_MAX),
    back: numbers(3, 2),
    asMade: Bun.deepEquals(followed(at(1), at(3)), at(3)),
    whole: authorities.every(isWhole),
  }).toEqual({
    same: 2,
    one: 2,
    two: 3,
    most: 12,
    more: undefined,
    back: undefined,
    asMade: true,
    whole: true,
  });
});

test("nobody takes over without the word of the key before, nor changes what came before that", async () => {
  const thief = freshIdentity();
  const stolen = await clusterCertificate(thief, cluster, 3);
  const forged = successor(at(2), stolen, thief);
  const [first, second] = at(3).before;
  if (!first || !second) throw new Error("two keys came before the third");
  const past = { ...at(3), before: [{ ...first, pem: stolen }, second] };
  const skipped = { ...at(3), before: [second] };
  const renumbered = { ...at(3), number: 4, before: [first, ...at(3).before] };
  expect({
    forged: followed(at(2), forged),
    fork: followed(at(3), successor(at(2), stolen, keys[1] ?? thief)),
    // Who knows the second key takes the third, and keeps what it knew of the first.
    past: Bun.deepEquals(followed(at(2), past), at(3)),
    whole: isWhole(past),
    skipped: followed(at(1), skipped),
    renumbered: followed(at(2), renumbered),
    garbage: followed(at(1), { ...at(2), pem: "no certificate" }),
  }).toEqual({
    forged: undefined,
    fork: undefined,
    past: true,
    whole: false,
    skipped: undefined,
    renumbered: undefined,
    garbage: undefined,
  });
});
