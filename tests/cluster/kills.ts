/**
 * Answers of which something is killed at a random token: bun tests/cluster/kills.ts [--streams 100] [--together 2] [--tokens 64]
 * [--seed 1] [--minutes M] [--machines M [--source]] [--model smollm2|tiny] [--every 21 | --fresh].
 * The newcomer's model or a tiny one, the official client. In each round some streams run side by side, half of them greedy; some are short prompts,
 * some begin alike for many tokens, some are second turns of a chat. Something dies once, when all have begun and the first of them is
 * so far: on one machine (the compiled binary) its worker, among several that hold the model
 * together the worker of one of them or, in a quarter of the rounds, a whole machine that is not the one that is asked. Prints one line
 * of JSON and ends with 1 where a stream did not complete, or a token was doubled, missing or another than without the kill.
 */
import { parseArgs } from "node:util";
import OpenAI from "openai";
import { freshFolder } from "../cli/exo.ts";
import { type KilledHome, oneMachine, severalMachines } from "./killed-home.ts";

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "100" },
    together: { type: "string", default: "2" },
    tokens: { type: "string", default: "64" },
    seed: { type: "string", default: "1" },
    /** After these no other round begins. */
    minutes: { type: "string", default: "Infinity" },
    machines: { type: "string", default: "1" },
    source: { type: "boolean", default: false },
    every: { type: "string", default: "21" },
    fresh: { type: "boolean", default: false },
    model: { type: "string", default: "smollm2" },
  },
});
const [streams, together, tokens, seed, minutes, machines, every] = [
  values.streams,
  values.together,
  values.tokens,
  values.seed,
  values.minutes,
  values.machines,
  values.every,
].map(Number) as [number, number, number, number, number, number, number];

/**
 * Between kills among several machines. A model whose workers die more often than three times a minute fails, as it should, and the second
 * and third death within a minute are answered after 1 and 5 s (reliability.md 4.5): pauses without these need more than 60 s, or a
 * model that is stopped and placed again after each kill.
 */
const KILL_EVERY_MS = values.fresh ? 0 : every * 1000;

/** Some fifty tokens. What begins so takes over what another prompt left in memory, also one that a kill has emptied since. */
const COMMON =
  "This is a letter from the keeper of the lighthouse to his sister, who lives in a town far from the sea. " +
  "He writes of storms, of ships that pass at night, and of the birds that rest on the rocks below. ";

/** Different answers; a kill is tried on each of them again and again. */
const PROMPTS = [
  "Once upon a time",
  `${COMMON}Today`,
  "The largest planet",
  `${COMMON}My dear sister, last night`,
  "def main():",
  `${COMMON}The ship`,
  "Water boils when",
  `${COMMON}When I woke this morning, there was`,
  "In the year 1905",
  `${COMMON}You asked me`,
];
/** A first turn and what the second says after its answer, which lies in memory as it was computed: one token at a time. */
const TURNS = [
  ["The recipe begins with", "\n\nAnd for two more guests"],
  [`${COMMON}The old man`, " But"],
  ["A triangle has", "\n\nQuestion: what is a square?\nAnswer:"],
] as const;

interface Asked {
  readonly prompt: string;
  /** What follows after the answer to that: then the answer to both is what is looked at. */
  readonly second?: string;
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

/** What to ask now: of a second turn the first is asked before. */
async function begun(client: OpenAI, asked: Asked): Promise<Asked> {
  const { second, ...first } = asked;
  if (second === undefined) return asked;
  const { text } = await told(client, first);
  return { ...first, prompt: `${first.prompt}${text}${second}` };
}

async function told(client: OpenAI, asked: Asked, heard: (count: number) => void = () => {}): Promise<Told> {
  const fields = { max_tokens: tokens, ignore_eos: true, return_token_ids: true };
  const options = { stream: true, stream_options: { include_usage: true } };
  const body = { model: values.model, ...asked, ...fields, ...options };
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

const random = randomOf(seed);
/**
 * A second turn is another answer where its first turn is not in memory any more, kill or not, and a worker keeps four of them: so
 * they are spread over the menu, and of eight streams that run side by side two are second turns.
 */
const prompts: readonly Pick<Asked, "prompt" | "second">[] = PROMPTS.flatMap((prompt, i) => {
  const turn = i % 3 === 1 ? TURNS[Math.floor(i / 3)] : undefined;
  return [{ prompt }, ...(turn ? [{ prompt: turn[0], second: turn[1] }] : [])];
});
const menu: readonly Asked[] = prompts.flatMap((prompt, i) => [
  { ...prompt, temperature: 0, seed: i },
  { ...prompt, temperature: 0.8, seed: 1000 * seed + i },
]);

/** A round: these side by side, and the kill when the first of them has so many tokens. */
async function round(home: KilledHome, all: readonly Asked[]) {
  const killAt = 1 + Math.floor(random() * (tokens - 1));
  const { url, victim, broken } = await home.next(random);
  const client = clientOf(url);
  let [isTried, isKilled, struck] = [false, false, 0];
  const counts = all.map(() => 0);
  const hear = (stream: number) => (count: number) => {
    counts[stream] = count;
    // What nobody has heard a token of is begun anew, on memory that is empty: it may well be another answer.
    if (isTried || Math.min(...counts) === 0 || (counts[0] ?? 0) < killAt) return;
    isTried = true;
    isKilled = victim.kill();
    struck = isKilled ? counts.filter((each) => each < tokens).length : 0;
  };
  const ready = await Promise.all(all.map((asked) => begun(client, asked)));
  const outcomes = await Promise.allSettled(ready.map((asked, i) => told(client, asked, hear(i))));
  const { loadMs, tries } = await home.mend();
  const killed = isKilled ? victim.what : undefined;
  return { outcomes, killed, killAt, struck, loadMs, tries, broken };
}

// Each request on a connection of its own: one that was kept may end, idle for long, in the moment in which it is used again.
const clientOf = (url: string): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, fetchOptions: { keepalive: false } });

const isSame = (got: Told, wanted: Told): boolean => wrongIn(got, wanted) === 0 && got.text === wanted.text;

const wrongIn = ({ ids }: Told, wanted: Told): number =>
  wanted.ids.filter((id, at) => id !== ids[at]).length + Math.max(0, ids.length - wanted.ids.length);

const share = (list: readonly number[], part: number): number | undefined =>
  list.map(Math.round).toSorted((a, b) => a - b)[Math.ceil(part * list.length) - 1];

/** What came of all streams so far. */
class Tally {
  readonly counts = {
    ...{ streams: 0, struck: 0, workers: 0, machines: 0 },
    ...{ completed: 0, wrongTokens: 0, different: 0, tries: 0, broken: 0 },
  };
  readonly failures: string[] = [];
  readonly #pauses: number[] = [];
  readonly #beyondLoad: number[] = [];

  add(outcome: PromiseSettledResult<Told>, wanted: Told | undefined, loadMs: number): void {
    if (!wanted) throw new Error("an answer that was never asked for without a kill");
    this.counts.streams += 1;
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
      ...{ together, tokens, seed, of: machines, model: values.model },
      /**
       * `struck`: streams that were under way when something died. `workers` and `machines`: those killed. `wrongTokens`: of those that
       * the same request has without a kill; `different`: streams that have any. `tries`: how often the model was asked for again after
       * a kill, a second apart, as the home could not place it yet; `broken`: how often it was not whole before a kill.
       */
      ...this.counts,
      pauseMs: { p50: share(this.#pauses, 0.5), p95: share(this.#pauses, 0.95) },
      beyondLoadMs: { p50: share(this.#beyondLoad, 0.5), p95: share(this.#beyondLoad, 0.95) },
      failures: this.failures.slice(0, 5),
    };
  }
}

const pauseOf = (outcome: PromiseSettledResult<Told>): number | undefined =>
  outcome.status === "fulfilled" ? Math.round(outcome.value.pauseMs) : undefined;

/** What a reader of a failed round wants to know of a stream: nothing where it is as without a kill. */
function trouble(
  outcome: PromiseSettledResult<Told>,
  asked: Asked | undefined,
  whole: ReadonlyMap<Asked, Told>,
): readonly object[] {
  const wanted = asked && whole.get(asked);
  if (!asked || !wanted) throw new Error("an answer that was never asked for without a kill");
  if (outcome.status === "rejected") return [{ asked, reason: String(outcome.reason) }];
  const { ids } = outcome.value;
  if (ids.length === tokens && outcome.value.counted === tokens && isSame(outcome.value, wanted)) return [];
  const firstAt = wanted.ids.findIndex((id, at) => id !== ids[at]);
  return [{ asked, firstAt, counted: outcome.value.counted, ids, wanted: wanted.ids }];
}

async function programme(home: KilledHome) {
  const { url } = await home.next(random);
  const whole = new Map<Asked, Told>();
  for (const asked of menu) {
    const client = clientOf(url);
    whole.set(asked, await told(client, await begun(client, asked)));
  }
  await home.mend();
  const tally = new Tally();
  const endMs = performance.now() + minutes * 60_000;
  for (let begun = 0; begun < streams && performance.now() < endMs; begun += together) {
    const untilMs = performance.now() + KILL_EVERY_MS;
    const count = Math.min(together, streams - begun);
    const all = Array.from({ length: count }, (_, i) => menu[(begun + i) % menu.length] ?? []).flat();
    const { outcomes, ...how } = await round(home, all);
    const { killed, struck, loadMs, tries, broken } = how;
    if (machines > 1) await Bun.sleep(Math.max(0, untilMs - performance.now()));
    if (killed) tally.counts[`${killed}s`] += 1;
    tally.counts.struck += struck;
    tally.counts.tries += tries;
    tally.counts.broken += broken.length;
    for (const [i, outcome] of outcomes.entries()) tally.add(outcome, whole.get(all[i] as Asked), loadMs);
    const bad = outcomes.flatMap((outcome, i) => trouble(outcome, all[i], whole));
    process.stderr.write(`${JSON.stringify({ ...how, pausesMs: outcomes.map(pauseOf), bad })}\n`);
    process.stderr.write(`${JSON.stringify(tally.report())}\n`);
  }
  return tally.report();
}

using folder = freshFolder();
await using home =
  machines === 1
    ? await oneMachine(folder.path, values.model)
    : await severalMachines(folder.path, {
        count: machines,
        model: values.model,
        isSource: values.source,
        isFresh: values.fresh,
      });
const result = await programme(home);
console.log(JSON.stringify(result));
process.exitCode = result.completed < result.streams || result.different > 0 ? 1 : 0;
