import { expect, test } from "bun:test";
import type { MemberList } from "#protocol/cluster";
import type { ClusterId, NodeId } from "#protocol/ids";
import { systemClock } from "../clock.ts";
import { successor } from "../security/authority.ts";
import { clusterCertificate, nodeCertificate } from "../security/certificate.ts";
import { freshIdentity, type Identity } from "../security/identity.ts";
import { signMemberList } from "../security/member-list.ts";
import { STEP_MS } from "../security/steps.ts";
import type { Endpoint } from "./network.ts";
import { stranger, TOLD } from "./refusal.ts";
import { TlsNetwork } from "./tls.ts";

test("a machine that is on the list no more is told so by whom it dials, also by a key that it does not know", async () => {
  const cluster = "home" as ClusterId;
  const [oldKey, newKey, host, guest] = [freshIdentity(), freshIdentity(), freshIdentity(), freshIdentity()];
  const [oldPem, newPem] = [
    await clusterCertificate(oldKey, cluster),
    await clusterCertificate(newKey, cluster, 2),
  ];
  const authority = successor({ number: 1, pem: oldPem, before: [] }, newPem, oldKey);
  const list = signMemberList({ cluster, version: 2, minimumMinor: 0, members: [] }, newKey);
  const shared = {
    boot: "0".repeat(32),
    capabilities: [],
    clock: systemClock,
    refused: () => {},
    crashed: () => {},
  };
  const told: number[] = [];
  const knowing = {
    clusterPem: newPem,
    formerPems: [oldPem],
    minimumMinor: 0,
    isMember: () => false,
    notice: async () => ({ authority, list }),
  };
  const papers = {
    clusterPem: oldPem,
    nodePem: await nodeCertificate(guest, oldKey, oldPem),
    minimumMinor: 0,
  };
  const dialler = new TlsNetwork({
    ...shared,
    identity: guest,
    listen: [],
    trust: { ...papers, isMember: () => true, noticed: (notice) => told.push(notice.list.version) },
  });
  for (const [key, pem] of [
    [oldKey, oldPem],
    [newKey, newPem],
  ] as const) {
    const nodePem = await nodeCertificate(host, key, pem);
    const network = new TlsNetwork({
      ...shared,
      identity: host,
      listen: [{ host: "127.0.0.1", port: 0 }],
      trust: { ...knowing, nodePem },
    });
    const [endpoint = { host: "", port: 0 }] = network.endpoints;
    const signal = new AbortController().signal;
    await dialler.dial(endpoint, { expect: host.node, lane: "control", signal }).catch(() => {}); // What it is told counts.
    await network.close();
  }
  // Where the other's certificate is good the answer is heard twice: once told, it dials again.
  expect([...new Set(told)]).toEqual([2]);
  expect(told.length).toBe(3);
});

test("a machine whose key the other side knows as little as it knows the other's is told apart from one that is silent", async () => {
  const cluster = "home" as ClusterId;
  const keys = [freshIdentity(), freshIdentity()] as const;
  const pems = await Promise.all(keys.map((key) => clusterCertificate(key, cluster, 2)));
  const [host, guest] = [freshIdentity(), freshIdentity()];
  const estranged: string[] = [];
  const networkOf = async (identity: typeof host, side: 0 | 1, ports: readonly number[]) => {
    const clusterPem = pems[side] ?? "";
    const nodePem = await nodeCertificate(identity, keys[side], clusterPem);
    return new TlsNetwork({
      boot: "0".repeat(32),
      capabilities: [],
      clock: systemClock,
      refused: () => {},
      crashed: () => {},
      identity,
      listen: ports.map((port) => ({ host: "127.0.0.1", port })),
      trust: {
        clusterPem,
        nodePem,
        minimumMinor: 0,
        isMember: () => true,
        noticed: () => {},
        estranged: (node) => estranged.push(node),
      },
    });
  };
  const [network, dialler] = [await networkOf(host, 0, [0]), await networkOf(guest, 1, [])];
  const [endpoint = { host: "", port: 0 }] = network.endpoints;
  const dial = (expect: NodeId) =>
    dialler.dial(endpoint, { expect, lane: "control", signal: new AbortController().signal }).catch(() => {});
  await dial(host.node);
  await dial(guest.node); // Another machine answers there: nothing is known of the one that was meant.
  await network.close();
  expect(estranged).toEqual([host.node]);
});

test("a member that was away, and knows the dialling machine not yet, hears from it the newer list, and gives it a link", async () => {
  const cluster = "home" as ClusterId;
  const [key, host, guest] = [freshIdentity(), freshIdentity(), freshIdentity()];
  const clusterPem = await clusterCertificate(key, cluster);
  const authority = { number: 1, pem: clusterPem, before: [] };
  const listOf = (version: number, members: readonly (typeof host)[]) =>
    signMemberList(
      {
        cluster,
        version,
        minimumMinor: 0,
        members: members.map(({ node, publicKey: key }) => ({
          node,
          key,
          name: node.slice(0, 4),
          joinedAt: 0,
          labels: {},
          drained: false,
          excluded: false,
        })),
      },
      key,
    );
  const refused: string[] = [];
  const networkOf = async (identity: typeof host, first: MemberList, listen: readonly Endpoint[]) => {
    let list = first;
    const network = new TlsNetwork({
      boot: "0".repeat(32),
      capabilities: [],
      clock: systemClock,
      refused: (_, why) => refused.push(why),
      crashed: (error) => refused.push(String(error)),
      identity,
      listen,
      trust: {
        clusterPem,
        nodePem: await nodeCertificate(identity, key, clusterPem),
        minimumMinor: 0,
        isMember: (node) => list.members.some((member) => member.node === node),
        notice: async () => ({ authority, list }),
        noticed: (notice) => {
          if (notice.list.version > list.version) list = notice.list;
        },
        newer: (_, notice) =>
          notice.list.version < list.version ? Promise.resolve({ authority, list }) : undefined,
      },
    });
    return network;
  };
  // Enough others for a notice that is longer than a hello may be.
  const others = Array.from({ length: 60 }, freshIdentity);
  const before = await networkOf(host, listOf(1, [host]), [{ host: "127.0.0.1", port: 0 }]);
  const now = await networkOf(guest, listOf(2, [host, guest, ...others]), []);
  const [endpoint = { host: "", port: 0 }] = before.endpoints;
  const accepted = Promise.withResolvers<NodeId>();
  before.onLink = (link) => accepted.resolve(link.peer.node);
  const signal = new AbortController().signal;
  const link = await now.dial(endpoint, { expect: host.node, lane: "control", signal });
  expect([link.peer.node, await accepted.promise, refused]).toEqual([
    host.node,
    guest.node,
    [stranger(guest.node), TOLD],
  ]);
  link.close();
  await before.close();
});

test("a machine that asks hears the answer also where its certificate took as long as one may", async () => {
  const cluster = "home" as ClusterId;
  const [oldKey, newKey, host, guest] = [freshIdentity(), freshIdentity(), freshIdentity(), freshIdentity()];
  const [oldPem, newPem] = await Promise.all([
    clusterCertificate(oldKey, cluster),
    clusterCertificate(newKey, cluster, 2),
  ]);
  const authority = successor({ number: 1, pem: oldPem, before: [] }, newPem, oldKey);
  const list = signMemberList({ cluster, version: 2, minimumMinor: 0, members: [] }, newKey);
  const waits: { ms: number; run: () => void }[] = [];
  const after: typeof systemClock.after = (ms, run) => {
    const wait = { ms, run };
    waits.push(wait);
    return () => void (waits.includes(wait) && waits.splice(waits.indexOf(wait), 1));
  };
  const asked = Promise.withResolvers<void>();
  const made = Promise.withResolvers<void>();
  const told: number[] = [];
  const networkOf = async (identity: Identity, key: Identity, pem: string, listen: readonly Endpoint[]) =>
    new TlsNetwork({
      boot: "0".repeat(32),
      capabilities: [],
      clock: { ...systemClock, after },
      refused: () => {},
      crashed: (error) => asked.reject(error),
      identity,
      listen,
      trust: {
        clusterPem: pem,
        formerPems: [oldPem],
        nodePem: await nodeCertificate(identity, key, pem),
        minimumMinor: 0,
        isMember: () => true,
        notice: async () => {
          asked.resolve();
          await made.promise;
          return { authority, list };
        },
        noticed: (notice) => told.push(notice.list.version),
      },
    });
  const network = await networkOf(host, newKey, newPem, [{ host: "127.0.0.1", port: 0 }]);
  const dialler = await networkOf(guest, oldKey, oldPem, []);
  const [endpoint = { host: "", port: 0 }] = network.endpoints;
  const { signal } = new AbortController();
  const dial = dialler.dial(endpoint, { expect: host.node, lane: "control", signal }).catch(() => {}); // What it is told counts.
  await asked.promise;
  for (const { ms, run } of waits.splice(0)) {
    if (ms <= STEP_MS) run();
    else waits.push({ ms, run });
  }
  made.resolve();
  await dial;
  await network.close();
  expect(told).toEqual([2]);
});
