/** The parts by which a node belongs to a home are started again when they crash, with those that build on them. */
import { expect, test } from "bun:test";
import type { ActorSystem } from "#actors/runtime/system";
import { type Home, openHome } from "#actors/supervisor/node/home";
import { freshFolder } from "../cli/exo.ts";
import { clusterIn, crash, ground, until } from "./crashes.ts";

const NAMES = ["discovery", "membership", "raft", "cluster", "placement", "pairing", "topology"];
const running = (system: ActorSystem) => NAMES.filter((name) => system.counts(system.address(name)));

async function opened(folder: string) {
  const system = ground();
  const told: string[] = [];
  const crashes: string[] = [];
  const home = await openHome(system, {
    cluster: clusterIn(folder, (why) => told.push(why)),
    modelsFolder: folder,
    computedBy: "a test",
    busy: async () => false,
    placement: {
      startWorker: () => {
        throw new Error("nothing is placed here");
      },
      prepare: async () => {},
      stored: async () => [],
      alone: { models: async () => [], giveWay: async () => {}, giveUp: () => {} },
      find: async (model) => ({ name: model, path: folder }),
      settings: { kvQuant: "f16" },
      changed: () => {},
      lost: () => {},
    },
    crashed: (name, { why }) => crashes.push(`${name}: ${why}`),
  });
  if (!home) throw new Error("the home was to open");
  return { system, told, crashes, home };
}

const lead = async (home: Home): Promise<string> => {
  const [self] = await home.cluster.nodes();
  return `${self?.name} ${self?.leader ? "leads" : "follows"}`;
};

/** Which actors are other ones after that one crashed, and whether the machine leads its home of one again. */
async function afterCrashOf(name: string) {
  using folder = freshFolder();
  const { system, crashes, home, told } = await opened(folder.path);
  await until(
    () => lead(home),
    (seen) => seen === "ada leads",
  );
  const replaced: string[] = [];
  for (const actor of NAMES)
    system.watch(system.address(actor), () => void (replaced.includes(actor) || replaced.push(actor)));
  crash(system, name);
  await until(
    () => running(system),
    (all) => all.length === NAMES.length && replaced.includes(name),
  );
  const seen = await until(
    () => lead(home).catch(() => "down"),
    (now) => now === "ada leads",
  );
  const after = { replaced: NAMES.filter((each) => replaced.includes(each)), crashes, seen, told };
  await home.stop();
  return { ...after, left: running(system) };
}

const whole = { seen: "ada leads", told: [], left: [] };

test("discovery that crashes is started again, and all that builds on it", async () => {
  expect(await afterCrashOf("discovery")).toEqual({
    ...whole,
    replaced: NAMES,
    crashes: ["discovery: planted"],
  });
});

test("a membership of which an actor crashes is started again, and discovery goes on", async () => {
  const replaced = ["membership", "raft", "cluster", "placement", "pairing", "topology"];
  const expected = { ...whole, replaced, crashes: ["membership: planted"] };
  expect([await afterCrashOf("raft"), await afterCrashOf("cluster")]).toEqual([expected, expected]);
});

test("topology that crashes is started again alone, pairing with topology", async () => {
  expect([await afterCrashOf("topology"), await afterCrashOf("pairing")]).toEqual([
    { ...whole, replaced: ["topology"], crashes: ["topology: planted"] },
    { ...whole, replaced: ["pairing", "topology"], crashes: ["pairing: planted"] },
  ]);
});

test("a part that crashes again and again leaves a machine that serves alone and says why", async () => {
  using folder = freshFolder();
  const { system, crashes, home, told } = await opened(folder.path);
  for (let time = 0; time < 11; time++) {
    await until(
      () => running(system),
      (all) => all.length === NAMES.length,
    );
    crash(system, "discovery");
  }
  await until(
    () => told.length,
    (count) => count > 0,
  );
  const cluster = await lead(home).catch(({ message }: Error) => message);
  const { serving } = home;
  expect({ crashes: crashes.length, told, cluster, serving, left: running(system) }).toEqual({
    crashes: 11,
    told: [
      "discovery ended more than 10 times within 60 s, the last time because: planted; this machine serves alone: end exo and start it again",
    ],
    cluster:
      "this machine serves alone: discovery ended more than 10 times within 60 s, the last time because: planted",
    serving: "alone",
    left: [],
  });
});
