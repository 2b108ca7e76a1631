/**
 * Links between nodes against plain TCP, both on loopback between two processes, in turns: an ask over a TLS link against an echo of as
 * many bytes, and bodies over a data lane against as many bytes over one plain stream. The plain side is the least that Bun.listen and
 * Bun.connect can do; the same echo over TLS shows what of the rest is not the runtime's. `bun bench/links.ts [--json]`. Not measured: networks, which are slower than either.
 */
import { systemClock } from "#actors/runtime/clock";
import { serverName } from "#actors/runtime/security/certificate";
import { identityFromPem } from "#actors/runtime/security/identity";
import { ActorSystem } from "#actors/runtime/system";
import { HEAD_BYTES } from "#actors/runtime/transport/framing";
import { LinkNames } from "#actors/runtime/transport/link-names";
import type { Endpoint, Lane, Link } from "#actors/runtime/transport/network";
import { tlsSettings } from "#actors/runtime/transport/tls-settings";
import { encode } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import { Supervisor, SupervisorReply } from "#protocol/supervisor";
import { dialPlain, listenPlain } from "./links/plain.ts";
import { networkOf, ownPapers, type Papers, quantile, two } from "./links/two.ts";

interface Served {
  readonly tls: Endpoint;
  readonly echo: number;
  readonly sealed: number;
  readonly sink: number;
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

/** The other process: answers asks and counts bodies. */
async function serve(): Promise<void> {
  const papers = await ownPapers();
  const network = networkOf(papers);
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
  const plain = listenPlain(STREAM_BYTES, settingsOf(papers));
  console.log(JSON.stringify({ tls: network.endpoints[0], ...plain }));
}

const settingsOf = ({ key, cluster, certificate }: Papers) =>
  tlsSettings(identityFromPem(key), { clusterPem: cluster, nodePem: certificate });

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

/** In turns; each against the last, which is the plainest. */
async function latencies(asks: Readonly<Record<string, () => Promise<unknown>>>) {
  const took = Object.entries(asks).map(([name, ask]) => ({ name, ask, us: [] as number[] }));
  for (const { ask } of took) await timed(WARM_ASKS, ask);
  for (let round = 0; round < ROUNDS; round++)
    for (const { ask, us } of took) us.push(...(await timed(ASKS, ask)));
  const sorted = took.map(({ name, us }) => ({ name, us: new Float64Array(us).sort() }));
  return Object.fromEntries(
    [0.5, 0.99].map((part) => {
      const times = sorted.map(({ name, us }) => [name, quantile(us, part)] as const);
      const plainest = times.at(-1)?.[1] ?? Number.NaN;
      const ratios = times.map(([name, us]) => [`${name}/plain`, us / plainest] as const).slice(0, -1);
      return [`p${part * 100}`, Object.fromEntries([...times, ...ratios])];
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
  const { child, said, papers, here, there } = await two<Served>();
  const network = networkOf(papers);
  const dial = (lane: Lane) =>
    network.dial(said.tls, { expect: there, lane, signal: AbortSignal.timeout(ASK_MS) });
  const system = new ActorSystem(here, systemClock);
  system.connect(there, await dial("control"));
  const [to, from] = [`${there}/echo` as Address, system.address("bench")];
  const question = Supervisor.Stop({ model: MODEL });
  // As the link sends it: without the nodes, which it says itself.
  const sent = new LinkNames(here, there).shortened({ to, from, id: 1000, message: question });
  const bytes = encode(sent).length + HEAD_BYTES;
  const tls = { ...settingsOf(papers), serverName: serverName(there) };
  const plain = await dialPlain(said, tls, bytes);
  const latency = await latencies({
    ask: () => system.ask(to, question, from, ASK_MS),
    tls: plain.sealedEcho,
    plain: plain.echo,
  });
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
