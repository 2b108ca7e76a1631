/** Homes of machines on one network segment of this machine's own making, and commands on them. */
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { environmentOf, freshFolder, fromSource } from "../cli/exo.ts";
import { type Segment, segment } from "./namespaces.ts";
import { type Running, started } from "./processes.ts";

export class Home implements AsyncDisposable {
  readonly #folder: string;
  readonly net: Segment;
  readonly #running = new Map<number, Running>();

  constructor(folder: string, net: Segment) {
    this.#folder = folder;
    this.net = net;
  }

  /** `exo serve` on the machine `node<number>`, with what its exo.yaml says of the cluster. */
  async serve(
    node: number,
    cluster: Readonly<Record<string, string>> = {},
    args: readonly string[] = [],
    through: readonly string[] = [],
  ) {
    const [name, folder] = [`node${node}`, this.#homeOf(node)];
    const lines = Object.entries({ name, ...cluster }).map(([key, value]) => `  ${key}: ${value}\n`);
    await Bun.write(join(folder, "exo", "exo.yaml"), `cluster:\n${lines.join("")}`);
    this.#running.set(
      node,
      await started({ name, folder }, { prefix: [...this.net.on(node), ...through], args }),
    );
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
    return Bun.spawn([...this.net.on(node), ...fromSource, ...words], {
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

  /** The first machine lets that one in. */
  async pair(node = 1): Promise<string> {
    const invite = this.run(0, "invite", "--json");
    const first = await invite.stdout.getReader().read();
    const { code } = JSON.parse(new TextDecoder().decode(first.value));
    return await this.says(node, "join", code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running.values()) await running[Symbol.asyncDispose]();
  }

  #homeOf = (node: number) => join(this.#folder, `node${node}`);
}

export async function home(nodes: number): Promise<Home & AsyncDisposable> {
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
