import { expect, test } from "bun:test";
import { canSealTo, openedBox, sealedTo } from "./box.ts";
import { freshIdentity } from "./identity.ts";

const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);

test("what is sealed to a node opens with its key and for its purpose, and in no other way", () => {
  const [owner, other] = [freshIdentity(), freshIdentity()];
  const box = sealedTo(owner.publicKey, new TextEncoder().encode("secret"), "a home");
  const changed = [...box.keys()].filter((at) => {
    const flipped = box.slice();
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    return openedBox(owner, flipped, "a home") !== undefined;
  });
  expect({
    owner: text(openedBox(owner, box, "a home")),
    other: openedBox(other, box, "a home"),
    purpose: openedBox(owner, box, "another home"),
    short: openedBox(owner, box.subarray(0, 47), "a home"),
    changed,
    twice: Buffer.compare(box, sealedTo(owner.publicKey, new TextEncoder().encode("secret"), "a home")) !== 0,
    clear: Buffer.from(box).includes("secret"),
  }).toEqual({
    owner: "secret",
    other: undefined,
    purpose: undefined,
    short: undefined,
    changed: [],
    twice: true,
    clear: false,
  });
});

test("bytes that are no key, or one that everybody has, are sealed to for nobody", () => {
  const identity = new Uint8Array(32).with(0, 1);
  const noPoint = new Uint8Array(32).with(0, 2);
  expect([freshIdentity().publicKey, identity, noPoint, new Uint8Array(31)].map(canSealTo)).toEqual([
    true,
    false,
    false,
    false,
  ]);
});
