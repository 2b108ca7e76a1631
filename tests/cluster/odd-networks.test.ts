/** Networks that are not as they should be, and clocks; and what a listener on the wire learns. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { canMakeSegments } from "./namespaces.ts";
import { type Home, home } from "./segment-home.ts";

setDefaultTimeout(180_000);

/** What a listener on the switch saw of the words while `run` went on. */
async function captured(on: readonly string[], words: readonly string[], run: () => Promise<void>) {
  const child = Bun.spawn([...on, process.execPath, join(import.meta.dir, "capture.ts"), ...words], {
    stdout: "pipe",
  });
  const reader = child.stdout.getReader();
  await reader.read();
  let text = "";
  const reading = (async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text = (text + new TextDecoder().decode(value)).split("\n").slice(-2).join("\n");
    }
  })();
  await run();
  child.kill("SIGKILL");
  await reading;
  const [line = "{}"] = text.split("\n");
  const found: { packets: number; bytes: number; seen: readonly string[] } = JSON.parse(line);
  return found;
}

/** The library that lies about the time; the command of that name would be a process between, which outlives its end. */
async function fakeClock(): Promise<string> {
  return (await Bun.$`faketime -f +0 printenv LD_PRELOAD`.text()).trim();
}

/** The library shares memory among processes, by a name with the number of the first: a killed one leaves it behind. */
function forgetFakeClocks(): void {
  for (const name of existsSync("/dev/shm") ? readdirSync("/dev/shm") : []) {
    const [, pid] = /^(?:sem\.faketime_sem|faketime_shm)_(\d+)$/.exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join("/dev/shm", name), { force: true });
  }
}

const PAIRED = /^✓ joined the home of node0 \(\w{8}\) as node1\n$/;

async function paired(two: Home): Promise<void> {
  await two.serve(0);
  await two.serve(1);
  expect(await two.pair()).toMatch(PAIRED);
  await two.whole(0, 1);
}

afterAll(forgetFakeClocks);

describe.if(await canMakeSegments())("machines", () => {
  test("T5 that pair and talk show a listener on the wire their names, and nothing that they say", async () => {
    await using two = await home(2);
    const marker = "MARKER-of-what-is-said";
    let code = "";
    const { packets, seen } = await captured(
      two.net.onSwitch,
      ["node0", marker, "PRIVATE KEY", "CERTIFICATE", "Cluster.Change", "Raft.Append", "discoveryKeys"],
      async () => {
        await paired(two);
        code = await two.says(1, "node", "node0", "label", `what=${marker}`);
        const nodes = () => two.says(1, "nodes", "--json");
        while (!(await nodes()).includes(marker)) await Bun.sleep(50);
      },
    );
    expect({ many: packets > 100, seen, code }).toEqual({
      many: true,
      seen: ["node0"],
      code: expect.any(String),
    });
  });

  test("with IPv6 alone find each other, pair and see each other, also with no more than link-local addresses", async () => {
    for (const flush of [
      "ip -4 addr flush dev eth0",
      "ip -4 addr flush dev eth0; ip -6 addr flush dev eth0 scope global",
    ]) {
      await using two = await home(2);
      for (const node of [0, 1]) await two.net.run(node, flush);
      await paired(two);
    }
  });

  test("of a network without multicast find each other by broadcast", async () => {
    await using two = await home(2);
    for (const node of [0, 1]) await two.net.run(node, "ip link set eth0 multicast off");
    await paired(two);
  });

  test("of a network that carries no broadcast find each other by multicast, of IPv4 as of IPv6", async () => {
    // Of a network of one address that address is the broadcast's: what is shouted there goes nowhere.
    const cut = (node: number) =>
      `ip -4 addr flush dev eth0; ip addr add 10.77.0.${node + 1}/32 dev eth0; ip route add 10.77.0.0/24 dev eth0`;
    for (const left of ["ip -6 addr flush dev eth0; ip route add 224.0.0.0/4 dev eth0", ":"]) {
      await using two = await home(2);
      for (const node of [0, 1]) await two.net.run(node, `${cut(node)}; ${left}`);
      await paired(two);
    }
  });

  test("without any network serve alone", async () => {
    await using one = await home(1);
    await one.net.run(0, "ip link set eth0 down; ip addr flush dev eth0");
    await one.serve(0);
    const nodes = JSON.parse(await one.says(0, "nodes", "--json"));
    const models = JSON.parse(await one.says(0, "ls", "--json"));
    const invite = one.run(0, "invite", "--json");
    const first = await invite.stdout.getReader().read();
    const { code } = JSON.parse(new TextDecoder().decode(first.value));
    const shown = nodes.nodes.map(({ name, state }: { name: string; state: string }) => `${name} ${state}`);
    expect({ shown, models: Array.isArray(models.models), code, log: await one.log(0) }).toEqual({
      shown: ["node0 self"],
      models: true,
      code: expect.stringMatching(/^[A-Z2-9]{4}-[A-Z2-9]{4}$/),
      log: expect.stringMatching(/^exo \S+ serves \S+ · Ctrl-C ends it\n$/),
    });
  });

  test("that were renamed show their new name to strangers as well", async () => {
    await using two = await home(2);
    for (const node of [0, 1]) await two.serve(node);
    while (!(await two.listed(1)).includes("node0 unpaired")) await Bun.sleep(20);
    await two.says(0, "node", "node0", "rename", "studio");
    while (!(await two.listed(1)).includes("studio unpaired")) await Bun.sleep(20);
  });

  test("whose ports are taken say so, dial the others, and are seen by them", async () => {
    await using two = await home(2);
    const hold = `Bun.listen({hostname:"0.0.0.0",port:52416,socket:{data(){}}});(await Bun.udpSocket({port:52415}));console.log("held")`;
    const holder = Bun.spawn([...two.net.on(1), process.execPath, "-e", hold], { stdout: "pipe" });
    await holder.stdout.getReader().read();
    await two.serve(0);
    await two.serve(1);
    const invite = two.run(0, "invite", "--json");
    const first = await invite.stdout.getReader().read();
    const { code, port } = JSON.parse(new TextDecoder().decode(first.value));
    const joined = await two.says(1, "join", code, `${two.net.address(0)}:${port}`);
    await two.whole(0, 1);
    holder.kill("SIGKILL");
    const log = await two.log(1);
    expect({ joined, log: [log.includes("52416"), log.includes("52415")] }).toEqual({
      joined: expect.stringMatching(PAIRED),
      log: [true, true],
    });
  });

  test.if(Bun.which("faketime") !== null)(
    "whose clocks are a day, twenty years, or all time since 1970 apart pair and see each other",
    async () => {
      for (const by of ["-1d", "+20y", "-56y"]) {
        await using two = await home(2);
        const off = [
          "env",
          "FAKETIME_DONT_FAKE_MONOTONIC=1",
          `FAKETIME=${by}`,
          `LD_PRELOAD=${await fakeClock()}`,
        ];
        await two.serve(0);
        await two.serve(1, {}, [], off);
        expect(await two.pair()).toMatch(PAIRED);
        await two.whole(0, 1);
      }
    },
  );
});
