import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import type { ClusterId } from "#protocol/ids";
import { openedBox } from "./box.ts";
import { keyOf } from "./certificate.ts";
import { freshIdentity, identityFromPem } from "./identity.ts";
import { type Step, type Steps, stepHere } from "./steps.ts";
import { succeeded } from "./succession.ts";

test("the next key and its boxes are one step; in the place of an heir that has no private key comes the next", async () => {
  const next = freshIdentity();
  const [first, second, third] = [freshIdentity(), freshIdentity(), freshIdentity()];
  const nobody = new Uint8Array(32); // Of small order: no private key is known for it.
  const asked: Step[] = [];
  const steps: Steps = (step, words) => {
    asked.push(step);
    return stepHere(step, words);
  };
  const heirs = [first.publicKey, nobody, second.publicKey, third.publicKey];
  const about = "the key of a home";
  const { pem, boxes } = await succeeded(
    next,
    { cluster: "home" as ClusterId, number: 3, about, heirs, count: 2 },
    steps,
  );
  const opened = [first, second].map((heir, i) => {
    const bytes = openedBox(heir, boxes[2 * i] ?? new Uint8Array(), about);
    return bytes && identityFromPem(new TextDecoder().decode(bytes)).node;
  });
  const certificate = new X509Certificate(pem);
  expect({
    asked,
    named: certificate.subject,
    isOwn: Buffer.compare(keyOf(certificate), next.publicKey) === 0,
    opened,
    none: [boxes[1], boxes[3], boxes.length],
  }).toEqual({
    asked: ["succeed"],
    named: "CN=home 3",
    isOwn: true,
    opened: [next.node, next.node],
    none: [undefined, undefined, 4],
  });
});
