import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { ClusterId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { openedBox } from "./box.ts";
import { sealedTo } from "./box-to.ts";
import { foundingCertificates, keyOf, oneTimeCertificate } from "./certificate.ts";
import { freshIdentity } from "./identity.ts";
import { serverCertificate } from "./server-certificate.ts";
import { stepsBy } from "./steps-child.ts";

const MAIN = join(import.meta.dir, "../../supervisor/main.ts");
const inChild = stepsBy([process.execPath, MAIN, "__step"]);
const nameless = (pem: string) => new X509Certificate(pem).subject;

test("certificates and boxes that another process makes are as good as this one's", async () => {
  const [key, node] = [freshIdentity(), freshIdentity()];
  const { clusterPem, nodePem } = await foundingCertificates(key, "home" as ClusterId, node, inChild);
  const server = await serverCertificate({ names: ["mac.local"], addresses: ["10.0.0.1"] }, 1e9, inChild);
  const content = { bytes: new TextEncoder().encode("secret"), about: "a home" };
  const box = await sealedTo(node.publicKey, content, inChild);
  const [cluster, own] = [new X509Certificate(clusterPem), new X509Certificate(nodePem)];
  expect({
    cluster: [cluster.subject, cluster.verify(cluster.publicKey), cluster.ca],
    own: [own.subject, own.verify(cluster.publicKey), own.subjectAltName, own.ca],
    keys: [Buffer.compare(keyOf(cluster), key.publicKey), Buffer.compare(keyOf(own), node.publicKey)],
    once: nameless(await oneTimeCertificate(key, inChild)),
    server: [nameless(server.certificate), server.key.startsWith("-----BEGIN PRIVATE KEY-----")],
    box: Buffer.from((box && openedBox(node, box, "a home")) ?? "").toString(),
  }).toEqual({
    cluster: ["CN=home", true, true],
    own: [`CN=${node.node}`, true, `DNS:${node.node}.exo`, false],
    keys: [0, 0],
    once: "CN=exo pairing",
    server: ["CN=exo on mac.local", true],
    box: "secret",
  });
});

test("keys go to the other process unseen: neither its arguments nor its environment have any", async () => {
  const key = freshIdentity();
  const seen = stepsBy([
    process.execPath,
    "-e",
    "console.log(JSON.stringify({ values: [JSON.stringify([process.argv, process.env])] }))",
  ]);
  const shown = await oneTimeCertificate(key, seen);
  const secret = key.pem.split("\n")[1] ?? "";
  expect([shown.includes(process.execPath), shown.includes(secret)]).toEqual([true, false]);
});

const ANEW = "the program may have been moved or replaced since exo started: start exo again";

test("what cannot be made is told with what to do, and the next can be made", async () => {
  const told = async (command: readonly string[]) => {
    const failed = await oneTimeCertificate(freshIdentity(), stepsBy(command)).catch(
      (error: unknown) => error,
    );
    return failed instanceof Problem && [failed.kind, failed.message, failed.remedy];
  };
  const once = stepsBy([process.execPath, "-e", "process.exit(1)"]);
  const twice = await Promise.allSettled([1, 2].map(() => once("seal", [])));
  expect([
    await told([process.execPath, "-e", "process.kill(process.pid, 'SIGKILL')"]),
    await told([process.execPath, "-e", "process.exit(1)"]),
    await told([process.execPath, "-e", "throw new TypeError('no such step')"]),
    await told(["/nowhere/exo", "__step"]),
    twice.map(({ status }) => status),
  ]).toEqual([
    [
      "unavailable",
      "a certificate could not be worked out in time",
      "try again in a moment: this machine may have too much to do",
    ],
    ["unavailable", "a certificate could not be worked out: it ended with status 1", ANEW],
    ["unavailable", "a certificate could not be worked out: no such step", ANEW],
    ["unavailable", "/nowhere/exo could not be started", ANEW],
    ["rejected", "rejected"],
  ]);
});
