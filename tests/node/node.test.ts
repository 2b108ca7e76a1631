/** Supervisor and gateway are started again when they crash; a node whose crashes go on ends, and says why. */
import { expect, test } from "bun:test";
import type { ActorSystem } from "#actors/runtime/system";
import { type NodeOptions, nodeOn } from "#actors/supervisor/node/node";
import { Problem } from "#protocol/problem";
import { freshFolder } from "../cli/exo.ts";
import { clusterIn, crash, ground, nodeOptions, until } from "./crashes.ts";

const runs = (system: ActorSystem, name: string) => system.counts(system.address(name)) !== undefined;

async function started(folder: string, more: Partial<NodeOptions> = {}) {
  const system = ground();
  const crashes: string[] = [];
  const node = await nodeOn(system, { ...nodeOptions(folder, (name) => crashes.push(name)), ...more });
  /** Of one chat request: its status and what is wrong. */
  const asked = async () => {
    const answer = await fetch(`${node.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "m", prompt: "one" }),
    });
    const { error }: { error?: { message: string } } = JSON.parse(await answer.text());
    return `${answer.status} ${error?.message}`;
  };
  return { system, crashes, node, asked };
}

test("a Supervisor that crashes is started again, its workers end, and who waited for a model is told", async () => {
  using folder = freshFolder();
  const { system, crashes, node, asked } = await started(folder.path);
  const answer = asked();
  const [before] = await until(
    async () => (await workersOf(process.pid)).filter((line) => line.includes("worker-")),
    (all) => all.length === 1,
  );
  crash(system, "supervisor");
  const told = await answer;
  await until(
    async () => (await workersOf(process.pid)).length,
    (count) => count === 0,
  );
  await until(
    () => runs(system, "supervisor"),
    (isUp) => isUp,
  );
  const loaded = await fetch(`${node.url}/v1/models`);
  await node.stop();
  expect({ worker: before !== undefined, told, crashes, answers: loaded.status }).toEqual({
    worker: true,
    told: "503 node/supervisor ended before it answered: planted",
    crashes: ["supervisor"],
    answers: 200,
  });
});

test("a gateway that crashes keeps its port, and what was under way ends with a problem", async () => {
  using folder = freshFolder();
  const { system, crashes, node, asked } = await started(folder.path);
  const answer = asked();
  await until(
    async () => (await workersOf(process.pid)).length,
    (count) => count === 1,
  );
  crash(system, "api-gateway");
  const told = await answer;
  const health = await fetch(`${node.url}/healthz`);
  await node.stop();
  expect({ told, crashes, health: health.status }).toEqual({
    told: "500 a part of exo failed while it worked on this request, and was started again; send the request again",
    crashes: ["api-gateway"],
    health: 200,
  });
});

test("a part that crashes again and again ends the node, which says which one and why", async () => {
  using folder = freshFolder();
  const { system, crashes, node } = await started(folder.path);
  for (let time = 0; time < 6; time++) {
    await until(
      () => runs(system, "supervisor"),
      (isUp) => isUp,
    );
    crash(system, "supervisor");
  }
  const { message } = await node.over;
  const door = await fetch(`${node.url}/healthz`).then(
    () => "open",
    () => "closed",
  );
  expect({ message, crashes: crashes.length, door }).toEqual({
    message:
      "this exo cannot go on: supervisor ended more than 5 times within 60 s, the last time because: planted",
    crashes: 6,
    door: "closed",
  });
});

test("a model is not looked for while this machine's part in what the home holds is started again", async () => {
  using folder = freshFolder();
  const looked: string[] = [];
  const { system, node, asked, crashes } = await started(folder.path, {
    cluster: clusterIn(folder.path, () => {}),
    resolveModel: async (name) => {
      looked.push(`${name}, placement ${runs(system, "placement") ? "runs" : "is down"}`);
      throw new Problem("notFound", "no such model");
    },
  });
  crash(system, "placement");
  const told = [await asked()];
  crash(system, "discovery");
  told.push(await asked());
  await node.stop();
  expect({ told, looked, crashes }).toEqual({
    told: Array(2).fill("404 no such model"),
    looked: Array(2).fill("m, placement runs"),
    crashes: ["placement", "discovery"],
  });
});

/** Command lines of this process's children. */
async function workersOf(pid: number): Promise<readonly string[]> {
  const listed = Bun.spawn(["ps", "-o", "args=", "--ppid", String(pid)], { stdout: "pipe" });
  const lines = (await new Response(listed.stdout).text()).split("\n");
  return lines.filter((line) => line.includes("setInterval"));
}
