import { afterEach, describe, expect, test } from "bun:test";
import { Cluster as ClusterMessages } from "#protocol/cluster";
import type { Envelope } from "#protocol/codec";
import type { Address, ClusterId, NodeId } from "#protocol/ids";
import { Supervisor, SupervisorReply } from "#protocol/supervisor";
import { systemClock } from "../clock.ts";
import { clusterCertificate, nodeCertificate } from "../security/certificate.ts";
import { freshIdentity, type Identity } from "../security/identity.ts";
import { ActorSystem } from "../system.ts";
import type { Link } from "./network.ts";
import { TlsNetwork } from "./tls.ts";

interface Cluster {
  readonly key: Identity;
  readonly pem: string;
  readonly members: Set<NodeId>;
}

async function cluster(): Promise<Cluster> {
  const key = freshIdentity();
  return { key, pem: await clusterCertificate(key, "test" as ClusterId), members: new Set() };
}

const open: TlsNetwork[] = [];
afterEach(async () => {
  for (const network of open.splice(0)) await network.close();
});

async function node(of: Cluster, { listed = true, clusterPem = of.pem } = {}) {
  const identity = freshIdentity();
  if (listed) of.members.add(identity.node);
  const nodePem = await nodeCertificate(identity, of.key, of.pem);
  const refused: string[] = [];
  const links: Link[] = [];
  const network = new TlsNetwork({
    identity,
    boot: "0".repeat(32),
    capabilities: ["test"],
    clock: systemClock,
    trust: { clusterPem, nodePem, minimumMinor: 0, isMember: (id) => of.members.has(id) },
    listen: [{ host: "127.0.0.1", port: 0 }],
    refused: (_, why) => refused.push(why),
    crashed: (error) => {
      throw error;
    },
  });
  network.onLink = (link) => links.push(link);
  open.push(network);
  const [endpoint = { host: "", port: 0 }] = network.endpoints;
  return { id: identity.node, identity, network, endpoint, refused, links };
}

const control = { lane: "control" as const, signal: AbortSignal.timeout(10_000) };

describe("links between nodes", () => {
  test("carry questions, answers and bodies between members", async () => {
    const home = await cluster();
    const [a, b] = [await node(home), await node(home)];
    const link = await a.network.dial(b.endpoint, { ...control, expect: b.id });
    const [left, right] = [new ActorSystem(a.id, systemClock), new ActorSystem(b.id, systemClock)];
    right.spawn("answerer", ({ reply }) => reply(SupervisorReply.Stopped({ model: "m".repeat(100_000) })));
    left.connect(b.id, link);
    const accepted = b.links[0] as Link;
    right.connect(a.id, accepted);
    const to = right.address("answerer");
    const answer = await left.ask(to, Supervisor.List({}), left.address("asker"), 5000);
    const body = new Promise<readonly [Envelope, number]>((resolve) => {
      accepted.onBody = (envelope, bytes) =>
        resolve([envelope, bytes.reduce((sum, byte) => (sum + byte) % 65536, 0)]);
    });
    const bytes = new Uint8Array(3_000_000).map((_, i) => i % 251);
    const envelope = { to, from: left.address("asker"), message: Supervisor.List({}) };
    const data = await a.network.dial(b.endpoint, { ...control, lane: "data", expect: b.id });
    const onData = new Promise<number>((resolve) => {
      (b.links[1] as Link).onBody = (_, got) => resolve(got.reduce((sum, byte) => (sum + byte) % 65536, 0));
    });
    expect({
      answer: (answer as { model?: string }).model?.length,
      peer: [link.peer.node === b.id, accepted.peer.node === a.id, accepted.peer.capabilities],
      sent: [link.sendBody(envelope, bytes), data.sendBody(envelope, bytes)],
      body: (await body)[1],
      data: await onData,
    }).toEqual({
      answer: 100_000,
      peer: [true, true, ["test"]],
      sent: [true, true],
      body: bytes.reduce((sum, byte) => (sum + byte) % 65536, 0),
      data: bytes.reduce((sum, byte) => (sum + byte) % 65536, 0),
    });
  });

  test("bytes of a message stay what they are, whatever becomes of the memory that it came in", async () => {
    const home = await cluster();
    const [a, b] = [await node(home), await node(home)];
    const link = await a.network.dial(b.endpoint, { ...control, expect: b.id });
    const commands = Array.from({ length: 200 }, (_, i) => new Uint8Array(1000).fill(i));
    const came: Uint8Array[] = [];
    const all = new Promise<void>((resolve) => {
      (b.links[0] as Link).onReceive = ({ message }) => {
        came.push((message as unknown as { command: Uint8Array }).command);
        if (came.length === commands.length) setImmediate(resolve);
      };
    });
    const [to, from] = [`${b.id}/x` as Address, `${a.id}/x` as Address];
    for (const command of commands) link.send({ to, from, message: ClusterMessages.Propose({ command }) });
    await all;
    expect(came.map((bytes) => [bytes.length, bytes[0]])).toEqual(commands.map((_, i) => [1000, i]));
  });

  test("T1 are refused to strangers, foreign clusters and keys that are not listed", async () => {
    const [home, foreign] = [await cluster(), await cluster()];
    const host = await node(home);
    const unlisted = await node(home, { listed: false });
    const stranger = await node(foreign, { clusterPem: home.pem });
    const tries = [unlisted, stranger].map(({ network }) =>
      network.dial(host.endpoint, { ...control, expect: host.id }).then(
        () => "let in",
        () => "refused",
      ),
    );
    expect({ tries: await Promise.all(tries), links: host.links }).toEqual({
      tries: ["refused", "refused"],
      links: [],
    });
  });

  test("T1 T8 that are refused are said with what was wrong, why that may be, and what to do", async () => {
    const [home, foreign] = [await cluster(), await cluster()];
    const [host, other, unlisted] = [await node(home), await node(home), await node(home, { listed: false })];
    const stranger = await node(foreign, { clusterPem: home.pem });
    const dials = [
      { from: unlisted, to: host, meant: host },
      { from: host, to: unlisted, meant: unlisted },
      { from: host, to: stranger, meant: stranger },
      { from: host, to: other, meant: stranger },
    ];
    for (const { from, to, meant } of dials)
      await from.network.dial(to.endpoint, { ...control, expect: meant.id }).catch(() => {});
    const closed = Promise.withResolvers<void>();
    const browser = await Bun.connect({
      hostname: "127.0.0.1",
      port: host.endpoint.port,
      socket: { data() {}, close: () => closed.resolve() },
    });
    browser.write("GET / HTTP/1.1\r\n\r\n");
    await closed.promise;
    expect(host.refused.map((why) => why.replace(unlisted.id.slice(0, 8), "ID"))).toMatchInlineSnapshot(`
      [
        "ID is not on this home's list of machines, as far as this one has heard; if it should be: exo invite here, exo join there",
        "ID is not on this home's list of machines, as far as this one has heard; if it should be: exo invite here, exo join there",
        "its certificate is not of this home's key (CERT_SIGNATURE_FAILURE): a machine of another home, or the key changed while one of both was off, and they tell each other; one of yours that stays away comes back by exo node NAME forget, exo invite and exo join",
        "another machine of this home answers there (ERR_TLS_CERT_ALTNAME_INVALID): addresses change, and the one that was meant is looked for elsewhere",
        "what it says is not exo's TLS (EPROTO): another program, as a browser or a scanner; nothing is to be done if you know of it",
      ]
    `);
  });

  test("T27 close when a message names another sender", async () => {
    const home = await cluster();
    const [a, b] = [await node(home), await node(home)];
    const link = await a.network.dial(b.endpoint, { ...control, expect: b.id });
    const closed = new Promise<string>((resolve) => {
      (b.links[0] as Link).onClose = resolve;
    });
    link.send({ to: `${b.id}/x` as Address, from: "somebody/else" as Address, message: Supervisor.List({}) });
    expect(await closed).toContain("names another sender");
  });
});
