/** Machines of one network segment, in network namespaces where this machine allows that. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { environmentOf, freshFolder, fromSource } from "../cli/exo.ts";
import { discovering } from "./discovering.ts";
import { canMakeSegments, type Segment, segment } from "./namespaces.ts";
import { type Running, started } from "./processes.ts";

setDefaultTimeout(60_000);

/** Homes of a segment, and commands on them. */
class Home implements AsyncDisposable {
  readonly #folder: string;
  readonly #net: Segment;
  readonly #running = new Map<number, Running>();

  constructor(folder: string, net: Segment) {
    this.#folder = folder;
    this.#net = net;
  }

  /** `exo serve` on the machine `node<number>`, with what its exo.yaml says of the cluster. */
  async serve(node: number, cluster: Readonly<Record<string, string>> = {}, args: readonly string[] = []) {
    const [name, folder] = [`node${node}`, this.#homeOf(node)];
    const lines = Object.entries({ name, ...cluster }).map(([key, value]) => `  ${key}: ${value}\n`);
    await Bun.write(join(folder, "exo", "exo.yaml"), `cluster:\n${lines.join("")}`);
    this.#running.set(node, await started({ name, folder }, { prefix: this.#net.on(node), args }));
  }

  /** As a copied disk: the same key and membership. */
  copyIdentity(from: number, to: number): void {
    cpSync(join(this.#homeOf(from), "exo", "node"), join(this.#homeOf(to), "exo", "node"), {
      recursive: true,
    });
  }

  /** What `exo serve` there said so far. */
  log(node: number): Promise<string> {
    return Bun.file(join(this.#homeOf(node), "log")).text();
  }

  async end(node: number): Promise<void> {
    await this.#running.get(node)?.kill("SIGTERM");
    this.#running.delete(node);
  }

  run(node: number, ...words: readonly string[]) {
    const home = this.#homeOf(node);
    mkdirSync(home, { recursive: true });
    const env = environmentOf(home);
    return Bun.spawn([...this.#net.on(node), ...fromSource, ...words], {
      env,
      cwd: home,
      stderr: "pipe",
    });
  }

  /** What it prints to either stream. */
  async says(node: number, ...words: readonly string[]): Promise<string> {
    const child = this.run(node, ...words);
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return out + err;
  }

  /** `node1 up` for each machine but itself. */
  async listed(node: number): Promise<readonly string[]> {
    const { nodes }: { nodes: readonly { name: string; state: string }[] } = JSON.parse(
      await this.says(node, "nodes", "--json"),
    );
    return nodes.filter(({ state }) => state !== "self").map(({ name, state }) => `${name} ${state}`);
  }

  /** Waits until each of the machines lists all others as up; the test's own limit ends it. */
  async whole(...nodes: readonly number[]): Promise<void> {
    for (const node of nodes)
      for (const other of nodes)
        while (node !== other && !(await this.listed(node)).includes(`node${other} up`)) await Bun.sleep(20);
  }

  async pair(): Promise<string> {
    const invite = this.run(0, "invite", "--json");
    const first = await invite.stdout.getReader().read();
    const { code } = JSON.parse(new TextDecoder().decode(first.value));
    return await this.says(1, "join", code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running.values()) await running[Symbol.asyncDispose]();
  }

  #homeOf = (node: number) => join(this.#folder, `node${node}`);
}

async function home(nodes: number): Promise<Home & AsyncDisposable> {
  const folder = freshFolder();
  const net = await segment(nodes);
  const made = new Home(folder.path, net);
  return Object.assign(made, {
    async [Symbol.asyncDispose]() {
      await Home.prototype[Symbol.asyncDispose].call(made);
      await net[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  });
}

describe.if(await canMakeSegments())("in a segment", () => {
  test("three list each other within 3 seconds of the last one's start (20 machines: bun run segment)", async () => {
    const { allPairsMs } = await discovering(3, { restSeconds: 0 });
    expect(allPairsMs).toBeLessThan(3000);
  });

  test("a code alone suffices: the machine that invites is found, and both are members of one home", async () => {
    await using two = await home(2);
    await two.serve(0);
    await two.serve(1);
    expect(await two.pair()).toMatch(/^✓ joined the home of node0 \(\w{8}\) as node1\n$/);
    await two.whole(0, 1);
  });

  test("three machines with one secret become a home by themselves", async () => {
    await using three = await home(3);
    const secret = "k5q2vuf3m7xw4nht6zrc2ydj5baelsgo";
    for (const node of [0, 1, 2]) await three.serve(node, { secret });
    await three.whole(0, 1, 2);
  });

  test("members that moved find each other by --peers where there is no discovery", async () => {
    await using two = await home(2);
    await two.serve(0);
    await two.serve(1);
    await two.pair();
    await two.whole(0, 1);
    await two.end(0);
    await two.end(1);
    await two.serve(0, { port: "53001" }, ["--no-discovery"]);
    await two.serve(1, { port: "53002" }, ["--no-discovery", "--peers", "10.77.0.1:53001"]);
    await two.whole(0, 1);
  });

  test("two machines with a copied identity are both told, with what to do", async () => {
    await using two = await home(2);
    await two.serve(0);
    await two.end(0);
    two.copyIdentity(0, 1);
    await two.serve(0);
    await two.serve(1);
    const isTold = async (node: number) =>
      /has the identity of this one.*exo node reset-identity/.test(await two.log(node));
    while (!((await isTold(0)) && (await isTold(1)))) await Bun.sleep(20);
  });

  test("who is near is listed without serving", async () => {
    await using two = await home(2);
    await two.serve(0);
    const listed = await two.says(1, "serve", "--list-peers", "--json");
    const [, line = listed] = /^(\{.*\})$/m.exec(listed) ?? [];
    const { peers } = JSON.parse(line);
    expect(peers).toEqual([
      {
        node: expect.stringMatching(/^[a-z2-7]{52}$/),
        name: "node0",
        version: "0.1.0",
        addresses: expect.any(Array),
        inviting: false,
      },
    ]);
  });
});
