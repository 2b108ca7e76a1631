/**
 * Answers whose worker is killed at a random token:
 * bun tests/cluster/kills.ts [--streams 100] [--together 2] [--tokens 64] [--seed 1] [--machines 1].
 * One machine, or several with a part of the model each; the compiled binary, the newcomer's model, the official client. In each round
 * some streams run side by side, half of them greedy, and one worker dies, whenever the first of them is so far: each machine's in turn.
 * Prints one line of JSON and ends with 1 where a stream did not complete, or a token was doubled, missing or another than without the
 * kill.
 */
import { parseArgs } from "node:util";
import OpenAI from "openai";
import { freshFolder } from "../cli/exo.ts";
import { binary, heldAt, type Server, serving } from "../e2e/product.ts";
import { members, msUntil, type Running, started } from "./processes.ts";

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "100" },
    together: { type: "string", default: "2" },
    tokens: { type: "string", default: "64" },
    seed: { type: "string", default: "1" },
    machines: { type: "string", default: "1" },
  },
});
const [streams, together, tokens, seed, machines] = [
  values.streams,
  values.together,
  values.tokens,
  values.seed,
  values.machines,
].map(Number) as [number, number, number, number, number];

/** Different answers; a kill is tried on each of them again and again. */
const PROMPTS = [
  "Once upon a time",
  "The largest planet",
  "def main():",
  "Water boils when",
  "In the year 1905",
];

interface Asked {
  readonly prompt: string;
  readonly temperature: number;
  readonly seed: number;
}

interface Told {
  readonly ids: readonly number[];
  readonly text: string;
  readonly counted: number;
  /** The longest silence between two pieces. */
  readonly pauseMs: number;
}

interface Chunk {
  readonly choices: readonly { readonly text: string; readonly token_ids?: readonly number[] }[];
  readonly usage?: { readonly completion_tokens: number } | null;
}

/** Numbers in [0, 1) that a seed decides (mulberry32, public domain). */
function randomOf(state: number): () => number {
  let now = state;
  return () => {
    now = (now + 0x6d2b79f5) | 0;
    let mixed = Math.imul(now ^ (now >>> 15), 1 | now);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function told(client: OpenAI, asked: Asked, heard: (count: number) => void = () => {}): Promise<Told> {
  const fields = { max_tokens: tokens, ignore_eos: true, return_token_ids: true };
  const options = { stream: true, stream_options: { include_usage: true } };
  const body = { model: "smollm2", ...asked, ...fields, ...options };
  const stream = (await client.completions.create(body as never)) as unknown as AsyncIterable<Chunk>;
  const ids: number[] = [];
  let [text, counted, pauseMs, lastMs] = ["", 0, 0, 0];
  for await (const { choices, usage } of stream) {
    const nowMs = performance.now();
    if (ids.length > 0) pauseMs = Math.max(pauseMs, nowMs - lastMs);
    lastMs = nowMs;
    ids.push(...(choices[0]?.token_ids ?? []));
    text += choices[0]?.text ?? "";
    counted = usage?.completion_tokens ?? counted;
    heard(ids.length);
  }
  return { ids, text, counted, pauseMs };
}

/** Every machine that holds some of the model; the first is asked. */
type Home = readonly Pick<Server, "url" | "held">[];

const WORKER_MS = 20_000;
/** A model on several machines whose workers die more often than three times a minute fails, as it should. */
const KILL_EVERY_MS = 21_000;

/** That machine's worker, and what its last load took; waited for where its answers are done before it is loaded again. */
async function workerOf(machine: Home[number] | undefined): Promise<{ pid: number; loadMs: number }> {
  for (const untilMs = performance.now() + WORKER_MS; performance.now() < untilMs; await Bun.sleep(50)) {
    const [held] = (await machine?.held()) ?? [];
    if (held?.pid && held.state === "ready") return { pid: held.pid, loadMs: held.facts?.loadMs ?? 0 };
  }
  throw new Error("the model is not held");
}

const random = randomOf(seed);
const menu: readonly Asked[] = PROMPTS.flatMap((prompt, i) => [
  { prompt, temperature: 0, seed: i },
  { prompt, temperature: 0.8, seed: 1000 * seed + i },
]);

/** A round: these side by side, and the worker killed when the first of them has so many tokens. */
async function round(home: Home, number: number, client: OpenAI, all: readonly Asked[]) {
  const killAt = 1 + Math.floor(random() * (tokens - 1));
  const victim = home[number % home.length];
  const { pid } = await workerOf(victim);
  let kills = 0;
  const kill = (count: number) => {
    if (kills > 0 || count < killAt) return;
    kills = 1;
    process.kill(pid, "SIGKILL");
  };
  const outcomes = await Promise.allSettled(
    all.map((asked, i) => told(client, asked, i === 0 ? kill : undefined)),
  );
  return { outcomes, kills, loadMs: (await workerOf(victim)).loadMs };
}

const isSame = (got: Told, wanted: Told): boolean => wrongIn(got, wanted) === 0 && got.text === wanted.text;

const wrongIn = ({ ids }: Told, wanted: Told): number =>
  wanted.ids.filter((id, at) => id !== ids[at]).length + Math.max(0, ids.length - wanted.ids.length);

const share = (list: readonly number[], part: number): number | undefined =>
  list.map(Math.round).toSorted((a, b) => a - b)[Math.ceil(part * list.length) - 1];

/** What came of all streams so far. */
class Tally {
  readonly counts = { kills: 0, completed: 0, wrongTokens: 0, different: 0 };
  readonly failures: string[] = [];
  readonly #pauses: number[] = [];
  readonly #beyondLoad: number[] = [];

  add(outcome: PromiseSettledResult<Told>, wanted: Told, loadMs: number): void {
    if (outcome.status === "rejected") {
      this.failures.push(String(outcome.reason));
      return;
    }
    const { value: got } = outcome;
    this.counts.completed += got.ids.length === tokens && got.counted === tokens ? 1 : 0;
    this.counts.wrongTokens += wrongIn(got, wanted);
    this.counts.different += isSame(got, wanted) ? 0 : 1;
    this.#pauses.push(got.pauseMs);
    this.#beyondLoad.push(got.pauseMs - loadMs);
  }

  report() {
    return {
      ...{ streams, together, tokens, seed, machines },
      /** `wrongTokens`: of those that the same request has without a kill; `different`: streams that have any. */
      ...this.counts,
      pauseMs: { p50: share(this.#pauses, 0.5), p95: share(this.#pauses, 0.95) },
      beyondLoadMs: { p50: share(this.#beyondLoad, 0.5), p95: share(this.#beyondLoad, 0.95) },
      failures: this.failures.slice(0, 5),
    };
  }
}

async function programme(home: Home) {
  const client = new OpenAI({ baseURL: `${home[0]?.url}/v1`, apiKey: "none", maxRetries: 0 });
  const whole = new Map<Asked, Told>();
  for (const asked of menu) whole.set(asked, await told(client, asked));
  const tally = new Tally();
  for (let begun = 0; begun < streams; begun += together) {
    const untilMs = performance.now() + KILL_EVERY_MS;
    const count = Math.min(together, streams - begun);
    const all = Array.from({ length: count }, (_, i) => menu[(begun + i) % menu.length] ?? []).flat();
    const { outcomes, kills, loadMs } = await round(home, begun / together, client, all);
    tally.counts.kills += kills;
    if (machines > 1) await Bun.sleep(Math.max(0, untilMs - performance.now()));
    for (const [asked, wanted] of whole)
      for (const [i, outcome] of outcomes.entries()) if (all[i] === asked) tally.add(outcome, wanted, loadMs);
  }
  return tally.report();
}

/** Machines of one home, with the model on all of them. */
async function homeOf(folder: string, running: AsyncDisposableStack): Promise<Home> {
  const names = Array.from({ length: machines }, (_, i) => `machine-${i}`);
  const all: Running[] = [];
  for (const machine of await members(folder, names, []))
    all.push(running.use(await started(machine, { command: [binary()] })));
  await msUntil(
    all,
    (view) => Object.values(view).filter((state) => /^(self|up)/.test(state)).length === machines,
  );
  const body = JSON.stringify({ model: "smollm2", nodes: names, minimumNodes: machines });
  const loaded = await fetch(`${all[0]?.url}/exo/v1/load`, { method: "POST", body });
  if (!loaded.ok) throw new Error(await loaded.text());
  return all.map(({ url }) => ({ url, held: () => heldAt(url) }));
}

using folder = freshFolder();
await using running = new AsyncDisposableStack();
const home =
  machines > 1
    ? await homeOf(folder.path, running)
    : [running.use(await serving(folder.path, ["--model", "smollm2"]))];
const result = await programme(home);
console.log(JSON.stringify(result));
process.exitCode = result.completed < streams || result.different > 0 ? 1 : 0;
