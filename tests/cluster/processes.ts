/** Real processes of one home on this machine, each with a folder of its own: members from the start, as pairing leaves them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodeCertificate } from "#actors/runtime/security/certificate";
import { freshIdentity, type Identity } from "#actors/runtime/security/identity";
import { signMemberList } from "#actors/runtime/security/member-list";
import { firstSnapshot, freshCluster } from "#actors/supervisor/cluster/genesis";
import { changed } from "#actors/supervisor/cluster/member-changes";
import type { ClusterRecord } from "#actors/supervisor/cluster/record";
import { SqliteStore } from "#actors/supervisor/cluster/sqlite-store";
import type { NodeView } from "#protocol/cluster";
import { environmentOf, fromSource } from "../cli/exo.ts";

export interface Machine {
  readonly name: string;
  readonly folder: string;
  readonly identity: Identity;
  readonly port: number;
}

export interface Running extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
  nodes(): Promise<readonly NodeView[]>;
  /** As the function of that name; on another network, what a watcher there saw last. */
  view(): Promise<Record<string, string>>;
  kill(signal: NodeJS.Signals): Promise<number>;
}

/** How one process is started: elsewhere, for one in a network namespace. */
export interface Start {
  readonly prefix?: readonly string[];
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  /** False: nobody looks at its view all the time, which costs more than the node does. */
  readonly watched?: boolean;
}

/** Prepares homes below `folder`, the first of which holds the cluster's key and votes. */
export async function members(
  folder: string,
  names: readonly string[],
  hosts: readonly string[],
): Promise<Machine[]> {
  const ports = freePorts(names.length);
  const machines = names.map((name, i) => {
    const machine = { name, folder: join(folder, name), identity: freshIdentity(), port: ports[i] ?? 0 };
    mkdirSync(join(machine.folder, "exo", "node"), { recursive: true, mode: 0o700 });
    writeFileSync(join(machine.folder, "exo", "node", "key.pem"), machine.identity.pem, { mode: 0o600 });
    writeFileSync(
      join(machine.folder, "exo", "exo.yaml"),
      `cluster:\n  name: ${name}\n  port: ${machine.port}\n`,
    );
    return machine;
  });
  const addresses = Object.fromEntries(
    machines.map(({ identity, port }, i) => [identity.node, [`${hosts[i] ?? "127.0.0.1"}:${port}`]]),
  );
  const [first, ...others] = machines;
  if (!first) throw new Error("a home has at least one machine");
  const clusterKey = freshIdentity();
  const record = await recordOfAll(first, others, addresses, clusterKey);
  stored(first, (store) => store.begin(record, firstSnapshot(record, first.identity)));
  for (const { identity, folder: own } of others) {
    const { clusterKeyBox: _, ...shared } = record;
    const nodePem = await nodeCertificate(identity, clusterKey, record.clusterPem);
    stored({ folder: own }, (store) => store.begin({ ...shared, nodePem }));
  }
  return machines;
}

async function recordOfAll(
  first: Machine,
  others: readonly Machine[],
  addresses: Readonly<Record<string, readonly string[]>>,
  clusterKey: Identity,
): Promise<ClusterRecord> {
  const record = await freshCluster(first.identity, first.name, 0, { clusterKey });
  const list = others.reduce((before, { identity, name }) => {
    const next = changed(before, { type: "admit", key: identity.publicKey, name }, 0);
    return next ? signMemberList(next, clusterKey) : before;
  }, record.members);
  return { ...record, members: list, addresses };
}

function stored({ folder }: { readonly folder: string }, write: (store: SqliteStore) => void): void {
  const store = new SqliteStore(join(folder, "exo", "node", "cluster.db"));
  write(store);
  store.close();
}

/** Below those that systems give to whoever dials (Linux: from 32768): one of these could be another's before its process has it. */
const PORTS = { first: 12_000, count: 20_000 };

/** All of them others, on every address of this machine; held by nobody until somebody listens there. */
export function freePorts(count: number): number[] {
  const held: Bun.TCPSocketListener<undefined>[] = [];
  while (held.length < count) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    try {
      held.push(Bun.listen({ hostname: "0.0.0.0", port, socket: { data: () => {} } }));
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
    }
  }
  const ports = held.map(({ port }) => port);
  for (const listener of held) listener.stop(true);
  return ports;
}

/** `exo serve`, ready. */
export async function started(
  { name, folder }: Pick<Machine, "name" | "folder">,
  { prefix = [], command = fromSource, args = ["--no-discovery"], watched: isWatched = true }: Start = {},
): Promise<Running> {
  const child = Bun.spawn([...prefix, ...command, "serve", "--port", "0", "--json", ...args], {
    env: environmentOf(folder),
    cwd: folder,
    stdout: "pipe",
    stderr: Bun.file(join(folder, "log")),
  });
  const { url }: { readonly url: string } = JSON.parse(await firstLine(child.stdout));
  const kill = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return child.exited;
  };
  const nodes = async () => {
    const answer = await fetch(`${url}/exo/v1/cluster`);
    const { nodes: found }: { readonly nodes: readonly NodeView[] } = JSON.parse(await answer.text());
    return found;
  };
  const watched = prefix.length === 0 || !isWatched ? undefined : watcher(prefix, url);
  return {
    name,
    pid: child.pid,
    url,
    nodes,
    view: async () => watched?.seen() ?? (await view({ nodes })),
    kill,
    async [Symbol.asyncDispose]() {
      watched?.end();
      await kill("SIGKILL");
    },
  };
}

/** Looks from within another network, where this process cannot. */
function watcher(prefix: readonly string[], url: string) {
  const child = Bun.spawn([...prefix, process.execPath, join(import.meta.dir, "watcher.ts"), url], {
    stdout: "pipe",
    stderr: "ignore",
  });
  let seen: Record<string, string> = {};
  void (async () => {
    let text = "";
    for await (const chunk of child.stdout) {
      text += new TextDecoder().decode(chunk);
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      const last = lines.at(-1);
      if (last) seen = JSON.parse(last);
    }
  })();
  return { seen: () => seen, end: () => child.kill("SIGKILL") };
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk);
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
  }
  throw new Error("exo serve ended before it was ready");
}

/** Every machine as `running` sees it: state, `*` for who leads, `+` for who votes. */
export async function view(running: Pick<Running, "nodes">): Promise<Record<string, string>> {
  const nodes = await running.nodes();
  return Object.fromEntries(
    nodes.map(({ name, state, leader, voter }) => [name, `${state}${leader ? "*" : ""}${voter ? "+" : ""}`]),
  );
}

/**
 * What is promised within seconds comes within this on a machine that does much else too, or not at all: ten times the longest promise
 * of five seconds (reliability.md 4.2), and some more. That it comes in time is judged where time is virtual, in tests/sim.
 */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 20;

/** Milliseconds until the views of all of them are so. */
export async function msUntil(
  all: readonly Running[],
  isSo: (view: Readonly<Record<string, string>>, of: Running) => boolean,
  patienceMs = PATIENCE_MS,
): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const views = await Promise.all(all.map((each) => each.view()));
    if (all.every((running, i) => isSo(views[i] ?? {}, running)))
      return Math.round(performance.now() - startMs);
    if (performance.now() - startMs > patienceMs)
      throw new Error(
        `within ${patienceMs / 1000} s it never came; the machines see ${JSON.stringify(views)}`,
      );
    await Bun.sleep(LOOK_EVERY_MS);
  }
}
