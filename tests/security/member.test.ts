/** What a member that lies can do to the others (reliability.md 2.4): it has its own key, and says whatever it likes. */
import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { successor } from "#actors/runtime/security/authority";
import { sealedToSelf } from "#actors/runtime/security/box";
import { clusterCertificate, keyOf } from "#actors/runtime/security/certificate";
import { freshIdentity } from "#actors/runtime/security/identity";
import { isSigned, signMemberList } from "#actors/runtime/security/member-list";
import type { Link } from "#actors/runtime/transport/network";
import { authorityOf } from "#actors/supervisor/cluster/record";
import { ownSealedKey, signedBoxes } from "#actors/supervisor/cluster/sealed-key";
import { encodeCommand, encodeState } from "#actors/supervisor/cluster/state";
import { Cluster, type MemberList } from "#protocol/cluster";
import { Discovery } from "#protocol/discovery";
import type { Address, NodeId } from "#protocol/ids";
import { type AnyMessage, declared } from "#protocol/message";
import { Raft } from "#protocol/raft";
import { Runtime } from "#protocol/runtime";
import { samples } from "../protocol/samples.ts";
import { spoken } from "../protocol/spoken.ts";
import { SimulatedHome } from "../sim/home.ts";

const HONEST = ["a", "b", "c"] as const;

/** A home of three and a fourth member, whose program is replaced by one that says what it is told to. */
class Infiltrated {
  readonly home = new SimulatedHome(7);
  #link: Link | undefined;
  #boots = 0;

  async form(): Promise<void> {
    await this.home.start("a");
    for (const name of ["b", "c", "liar"]) await this.home.join(name, "a");
    await this.home.time.pass(5000);
    this.home.kill("liar");
    await this.home.time.pass(100);
  }

  get liar(): NodeId {
    return this.home.id("liar");
  }

  /** Over a control link to `to`, which is opened anew when the last lie ended it. */
  async say(to: (typeof HONEST)[number], actor: string, message: AnyMessage): Promise<void> {
    const { home, liar } = this;
    const node = home.id(to);
    const isOpen = this.#link?.peer.node === node && home.node(to).linked.includes(liar);
    if (!isOpen) await this.#dial(node);
    this.#link?.send({ to: `${node}/${actor}` as Address, from: `${liar}/${actor}` as Address, message });
    await home.time.pass(5);
  }

  /** What the others know of the home, and whether they can still change it. */
  async outcome() {
    const { home } = this;
    await home.time.pass(6000);
    const record = home.machine("a").disk.record;
    const key = keyOf(new X509Certificate(record?.clusterPem ?? ""));
    const lists = HONEST.map((name) => home.machine(name).disk.record?.members);
    const done = await home.settled(home.node("c").set("still", "agreed")).then(
      () => "agreed",
      (error: Error) => error.message,
    );
    await home.time.pass(3000);
    return {
      members: lists.map((list) => list?.members.map(({ name }) => name).join(" ")),
      signed: lists.every((list) => list && isSigned(list, key)),
      done,
      stopped: home.troubles.filter((why) => why.includes("cannot keep")),
      set: HONEST.map((name) => home.node(name).settings.still),
    };
  }

  async #dial(node: NodeId): Promise<void> {
    this.#boots += 1;
    const network = this.home.wire.attach(this.liar, `liar${this.#boots}`);
    const signal = new AbortController().signal;
    this.#link = await this.home.settled(network.dial({ host: node, port: 1 }, { lane: "control", signal }));
    await this.home.time.pass(5);
  }
}

const UNHARMED = {
  members: ["a b c liar", "a b c liar", "a b c liar"],
  signed: true,
  done: "agreed",
  stopped: [],
  set: ["agreed", "agreed", "agreed"],
};

async function infiltrated(): Promise<Infiltrated> {
  const made = new Infiltrated();
  await made.form();
  return made;
}

const config = { voters: [], learners: [] };

test("T27 a member that sends states of its own making changes no list, and ends nobody's log", async () => {
  const inside = await infiltrated();
  const { home, liar } = inside;
  const { record } = home.machine("a").disk;
  const { members: list, discoveryKeys: keys } = record ?? {};
  if (!record || !list || !keys) throw new Error("a has a record");
  const mine: MemberList = signMemberList(
    { ...list, version: list.version + 9, members: list.members.filter(({ node }) => node === liar) },
    freshIdentity(),
  );
  const thief = freshIdentity();
  const pem = await clusterCertificate(thief, list.cluster, 2);
  const known = { list: mine, discoveryKeys: [...keys], settings: { still: "mine" }, boxes: {} };
  const state = encodeState({ ...known, authority: authorityOf(record) });
  const usurped = encodeState({
    ...known,
    list: signMemberList(mine, thief),
    authority: successor(authorityOf(record), pem, thief),
  });
  for (const to of HONEST)
    for (const bytes of [state, usurped, new Uint8Array([1, 2, 3]), new Uint8Array()])
      await inside.say(
        to,
        "raft",
        Raft.Install({ term: 99, snapshot: { index: 1e6, term: 99, config, state: bytes } }),
      );
  expect(await inside.outcome()).toEqual(UNHARMED);
});

test("T27 T28 a member that proposes, expels, hands out keys and says that others are gone is believed in nothing", async () => {
  const inside = await infiltrated();
  const { home } = inside;
  const { record } = home.machine("a").disk;
  const { members: list } = record ?? {};
  if (!record || !list) throw new Error("a has a record");
  const thief = freshIdentity();
  const mine = signMemberList(
    { ...list, version: list.version + 1, members: list.members.slice(0, 1) },
    thief,
  );
  const pem = await clusterCertificate(thief, list.cluster, 2);
  const authority = successor(authorityOf(record), pem, thief);
  const boxes = {};
  const proof = signedBoxes(thief, { cluster: list.cluster, number: 2, boxes });
  for (const to of HONEST) {
    await inside.say(
      to,
      "cluster",
      Cluster.Propose({ command: encodeCommand({ type: "authority", authority, list: mine, boxes, proof }) }),
    );
    await inside.say(
      to,
      "cluster",
      Cluster.Propose({ command: encodeCommand({ type: "list", list: mine }) }),
    );
    await inside.say(to, "cluster", Cluster.Forgotten({ list: mine, authority: authorityOf(record) }));
    await inside.say(to, "cluster", Cluster.Forgotten({ list: mine, authority }));
    await inside.say(to, "discovery", Discovery.Heard({ node: home.id("b") }));
    await inside.say(
      to,
      "system",
      Runtime.Down({ actor: `${home.id("b")}/raft` as Address, watch: 1, how: "lost", why: "" }),
    );
  }
  const names = (await home.node("a").nodes()).filter(({ state }) => state === "up").map(({ name }) => name);
  expect({ ...(await inside.outcome()), names: names.filter((name) => name !== "liar") }).toEqual({
    ...UNHARMED,
    names: ["b", "c"],
  });
});

test("T27 a member that puts nonsense or a key of its own where others keep the home's takes it from nobody", async () => {
  const inside = await infiltrated();
  const { home, liar } = inside;
  const { cluster, clusterNumber: number = 1 } = home.machine("a").disk.record ?? {};
  if (!cluster) throw new Error("a has a record");
  const thief = freshIdentity();
  const { identity } = home.machine("b");
  const content = { bytes: new TextEncoder().encode("x"), about: `cluster key ${cluster}` };
  const nonsense = sealedToSelf(identity, content);
  for (const node of [home.id("a"), home.id("b"), liar])
    for (const box of [nonsense, ownSealedKey(identity, thief, cluster)])
      for (const to of HONEST) {
        const proof = signedBoxes(thief, { cluster, number, boxes: { [node]: box } });
        const command = encodeCommand({ type: "entrust", node, number, box, proof });
        await inside.say(to, "cluster", Cluster.Propose({ command }));
      }
  const holders = HONEST.filter((name) => home.node(name).mayAdmit);
  expect({ ...(await inside.outcome()), holders }).toEqual({ ...UNHARMED, holders: ["a", "b", "c"] });
});

test("T28 of all messages that there are none moves a machine but by its own actor", async () => {
  const inside = await infiltrated();
  await spoken();
  const commands = [...declared()].filter(([type]) => !/^(Raft|Cluster)\./.test(type));
  for (const [type, schema] of commands)
    for (const fields of samples(schema))
      for (const actor of ["supervisor", "discovery", "topology", "cluster", "system", "shard-worker"])
        await inside.say("b", actor, { type, ...(fields as object) } as AnyMessage);
  expect(await inside.outcome()).toEqual(UNHARMED);
});

test("T30 T31 a member that names terms beyond any, and floods, keeps the others from nothing", async () => {
  const inside = await infiltrated();
  const most = Number.MAX_SAFE_INTEGER;
  for (const to of HONEST) {
    await inside.say(to, "raft", Raft.Vote({ term: most, lastIndex: most, lastTerm: most, pre: false }));
    await inside.say(to, "raft", Raft.AppendReply({ term: most, ok: true, index: most }));
    await inside.say(
      to,
      "raft",
      Raft.Append({ term: most, prevIndex: most, prevTerm: 1, entries: [], commit: most }),
    );
  }
  for (let i = 0; i < 2000; i++)
    await inside.say(
      "b",
      "discovery",
      Discovery.Known({ node: freshIdentity().node, endpoints: [`10.0.0.1:${i + 1}`] }),
    );
  expect(await inside.outcome()).toEqual(UNHARMED);
});
