import { expect, test } from "bun:test";
import { openedBox, sealedToSelf } from "./box.ts";
import { sealedTo } from "./box-to.ts";
import { freshIdentity } from "./identity.ts";

const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);
const content = { bytes: new TextEncoder().encode("secret"), about: "a home" };
const noBox = new Uint8Array();

test("what is sealed to a node opens with its key and for its purpose, and in no other way", async () => {
  const [owner, other] = [freshIdentity(), freshIdentity()];
  const box = (await sealedTo(owner.publicKey, content)) ?? noBox;
  const again = (await sealedTo(owner.publicKey, content)) ?? noBox;
  const changed = [...box.keys()].filter((at) => {
    const flipped = box.slice();
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    return openedBox(owner, flipped, "a home") !== undefined;
  });
  expect({
    owner: text(openedBox(owner, box, "a home")),
    self: text(openedBox(owner, sealedToSelf(owner, content), "a home")),
    other: openedBox(other, box, "a home"),
    purpose: openedBox(owner, box, "another home"),
    short: openedBox(owner, box.subarray(0, 47), "a home"),
    changed,
    twice: Buffer.compare(box, again) !== 0,
    clear: Buffer.from(box).includes("secret"),
  }).toEqual({
    owner: "secret",
    self: "secret",
    other: undefined,
    purpose: undefined,
    short: undefined,
    changed: [],
    twice: true,
    clear: false,
  });
});

test("bytes that are no key, or one that everybody has, are sealed to for nobody", async () => {
  const identity = new Uint8Array(32).with(0, 1);
  const noPoint = new Uint8Array(32).with(0, 2);
  const keys = [freshIdentity().publicKey, identity, noPoint, new Uint8Array(31)];
  const boxes = await Promise.all(keys.map((key) => sealedTo(key, content)));
  expect(boxes.map((box) => box !== undefined)).toEqual([true, false, false, false]);
});
