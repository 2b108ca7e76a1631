/**
 * Links between nodes against plain TCP, both on loopback between two processes, in turns: an ask over a TLS link against an echo of as
 * many bytes, and bodies over a data lane against as many bytes over one plain stream. The plain side is the least that Bun.listen and
 * Bun.connect can do. `bun bench/links.ts [--json]`. Not measured: networks, which are slower than either.
 */
import { systemClock } from "#actors/runtime/clock";
import { clusterCertificate, nodeCertificate } from "#actors/runtime/security/certificate";
import { freshIdentity, identityFromPem } from "#actors/runtime/security/identity";
import { ActorSystem } from "#actors/runtime/system";
import { HEAD_BYTES } from "#actors/runtime/transport/framing";
import { LinkNames } from "#actors/runtime/transport/link-names";
import type { Lane, Link } from "#actors/runtime/transport/network";
import { TlsNetwork } from "#actors/runtime/transport/tls";
import { encode } from "#protocol/codec";
import type { Address, ClusterId, NodeId } from "#protocol/ids";
import { Supervisor, SupervisorReply } from "#protocol/supervisor";
import { dialPlain, listenPlain } from "./links/plain.ts";

interface Papers {
  readonly cluster: string;
  readonly certificate: string;
  readonly key: string;
  readonly members: readonly NodeId[];
}

const GOALS = { p50: 1.5, p99: 2, stream: 0.6 };
const ROUNDS = 40;
const ASKS = 500;
/** As a node that has run for a while: until then compiling takes the cores from both sides. */
const WARM_ASKS = 20_000;
const STREAM_BYTES = 256 * 1024 * 1024;
const STREAM_ROUNDS = 5;
const FRAMES = [64 * 1024, 1024 * 1024, 16 * 1024 * 1024];
const ASK_MS = 10_000;
const MODEL = "m".repeat(32);

function open({ cluster, certificate, key, members }: Papers): TlsNetwork {
  return new TlsNetwork({
    identity: identityFromPem(key),
    boot: "0".repeat(32),
    capabilities: [],
    clock: systemClock,
    trust: {
      clusterPem: cluster,
      nodePem: certificate,
      minimumMinor: 0,
      isMember: (id) => members.includes(id),
    },
    listen: [{ host: "127.0.0.1", port: 0 }],
    refused: (from, why) => console.error(`${from}: ${why}`),
    crashed: (error) => {
      throw error;
    },
  });
}

/** The other process: answers asks and counts bodies. */
async function serve(): Promise<void> {
  const papers = JSON.parse(await Bun.stdin.text()) as Papers;
  const network = open(papers);
  const self = identityFromPem(papers.key).node;
  const system = new ActorSystem(self, systemClock);
  let bodyBytes = 0;
  system.spawn("echo", ({ reply }) => reply(SupervisorReply.Stopped({ model: MODEL })));
  network.onLink = (link) => {
    if (link.lane === "control") system.connect(link.peer.node, link);
    link.onBody = ({ from, to }, body) => {
      bodyBytes += body.length;
      if (bodyBytes < STREAM_BYTES) return;
      bodyBytes = 0;
      link.send({ to: from, from: to, message: Supervisor.List({}) });
    };
  };
  const plain = listenPlain(STREAM_BYTES);
  console.log(JSON.stringify({ tls: network.endpoints[0], ...plain }));
}

async function start(papers: Papers) {
  const child = Bun.spawn([process.execPath, import.meta.path, "serve"], {
    stdin: new Blob([JSON.stringify(papers)]),
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await child.stdout.getReader().read();
  const ports = JSON.parse(new TextDecoder().decode(value)) as {
    readonly tls: { readonly host: string; readonly port: number };
    readonly echo: number;
    readonly sink: number;
  };
  return { child, ...ports };
}

const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
const median = (values: readonly number[]): number =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );

async function timed(times: number, run: () => Promise<unknown>): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < times; i++) {
    const startMs = performance.now();
    await run();
    took.push((performance.now() - startMs) * 1000);
  }
  return took;
}

async function latencies(ask: () => Promise<unknown>, echo: () => Promise<unknown>) {
  await timed(WARM_ASKS, ask);
  await timed(WARM_ASKS, echo);
  const [asks, echoes]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    asks.push(...(await timed(ASKS, ask)));
    echoes.push(...(await timed(ASKS, echo)));
  }
  const [a, e] = [asks, echoes].map((times) => times.sort((x, y) => x - y)) as [number[], number[]];
  return Object.fromEntries(
    [0.5, 0.99].map((part) => {
      const [askUs, echoUs] = [quantile(a, part), quantile(e, part)];
      return [`p${part * 100}`, { askUs, echoUs, ratio: askUs / echoUs }];
    }),
  );
}

/** Sends STREAM_BYTES in bodies of `size` and waits until all were counted; bytes a second. */
async function streamTls(link: Link, to: Address, from: Address, body: Uint8Array): Promise<number> {
  const envelope = { to, from, message: Supervisor.List({}) };
  const startMs = performance.now();
  const counted = new Promise<void>((resolve) => {
    link.onReceive = () => resolve();
  });
  for (let sent = 0; sent < STREAM_BYTES; ) {
    if (link.sendBody(envelope, body, true)) sent += body.length;
    else await new Promise<void>((resolve) => (link.onDrain = resolve));
  }
  await counted;
  return (STREAM_BYTES / (performance.now() - startMs)) * 1000;
}

async function main(): Promise<void> {
  const [key, here, there] = [freshIdentity(), freshIdentity(), freshIdentity()];
  const cluster = await clusterCertificate(key, "bench" as ClusterId);
  const members = [here.node, there.node];
  const papersOf = async (identity: typeof here): Promise<Papers> => ({
    cluster,
    certificate: await nodeCertificate(identity, key, cluster),
    key: identity.pem,
    members,
  });
  const { child, tls, echo, sink } = await start(await papersOf(there));
  const network = open(await papersOf(here));
  const dial = (lane: Lane) =>
    network.dial(tls, { expect: there.node, lane, signal: AbortSignal.timeout(ASK_MS) });
  const system = new ActorSystem(here.node, systemClock);
  system.connect(there.node, await dial("control"));
  const [to, from] = [`${there.node}/echo` as Address, system.address("bench")];
  const question = Supervisor.Stop({ model: MODEL });
  // As the link sends it: without the nodes, which it says itself.
  const sent = new LinkNames(here.node, there.node).shortened({ to, from, id: 1000, message: question });
  const bytes = encode(sent).length + HEAD_BYTES;
  const plain = await dialPlain(echo, sink, bytes);
  const latency = await latencies(() => system.ask(to, question, from, ASK_MS), plain.echo);
  const data = await dial("data");
  const streams = [];
  for (const frame of FRAMES) {
    const body = new Uint8Array(frame).fill(7);
    const rates: [number, number][] = [];
    for (let round = 0; round < STREAM_ROUNDS; round++)
      rates.push([await streamTls(data, to, from, body), await plain.stream(STREAM_BYTES, body)]);
    const [tlsRate, plainRate] = [median(rates.map(([rate]) => rate)), median(rates.map(([, rate]) => rate))];
    const ratio = median(rates.map(([ours, theirs]) => ours / theirs));
    streams.push({ frame, tlsGBs: tlsRate / 1e9, plainGBs: plainRate / 1e9, ratio });
  }
  report({ bytes, latency, streams });
  child.kill();
  process.exit(0);
}

function report(figures: { bytes: number; latency: object; streams: object[] }): void {
  if (process.argv.includes("--json")) {
    console.log(JSON.stringify({ goals: GOALS, ...figures }));
    return;
  }
  const shown = (row: object) =>
    Object.entries(row)
      .map(([name, value]) => `${name} ${typeof value === "number" ? Number(value.toFixed(2)) : value}`)
      .join(", ");
  console.log(
    `an ask and its echo of ${figures.bytes} bytes (goals: p50 <= ${GOALS.p50}, p99 <= ${GOALS.p99})`,
  );
  for (const [name, row] of Object.entries(figures.latency)) console.log(`  ${name}: ${shown(row)}`);
  console.log(`streams (goal: >= ${GOALS.stream})`);
  for (const row of figures.streams) console.log(`  ${shown(row)}`);
}

await (process.argv[2] === "serve" ? serve() : main());
