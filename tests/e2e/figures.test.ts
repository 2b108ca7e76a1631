import { expect, setDefaultTimeout, test } from "bun:test";
import { freshFolder } from "../cli/exo.ts";
import { binary, childrenOf, median, run, serving, TEST_MS_MAX, until, usedMs } from "./product.ts";

setDefaultTimeout(TEST_MS_MAX);

/**
 * Milliseconds of processor: of 150 and 30 by the clock, promised of a machine that does nothing else, at most two processors' while it
 * starts, each half as fast where its other half is busy too. How long a process waits for a processor is others' doing, so that what it
 * uses is judged, and what passes by the clock is told alone.
 */
const HEALTHY_USED_MS_MAX = 2 * 2 * 150;
const VERSION_USED_MS_MAX = 2 * 2 * 30;
const RESIDENT_BYTES_MAX = 90e6;
/** The look after 10 s, and what it gives back is gone: with room for a busy machine. */
const SMALL_AFTER_MS = 30_000;
/** Two and a half seconds, and tenfold where other processes have most of the machine. */
const FIRST_TOKEN_MS_MAX = 25_000;

test(`serve answers /healthz after less than ${HEALTHY_USED_MS_MAX} ms of processor, and without a worker`, async () => {
  const seen: { ms: number; used: number; status: number; workers: number }[] = [];
  for (let i = 0; i < 5; i++) {
    using home = freshFolder();
    const start = performance.now();
    await using server = await serving(home.path);
    const { status } = await fetch(`${server.url}/healthz`);
    const [ms, used] = [performance.now() - start, usedMs(server.pid)];
    seen.push({ ms, used, status, workers: childrenOf(server.pid).length });
  }
  const healthyMs = median(seen.map(({ ms }) => ms));
  console.info(`/healthz after ${healthyMs.toFixed(0)} ms (median of 5)`);
  expect(seen.map(({ status, workers }) => [status, workers])).toEqual(Array(5).fill([200, 0]));
  expect(Math.min(...seen.map(({ used }) => used))).toBeLessThan(HEALTHY_USED_MS_MAX);
});

test("a node stays small after it listed models, refused requests and answered ps, none of which loads one", async () => {
  using home = freshFolder();
  await using server = await serving(home.path);
  for (const path of ["/v1/models", "/exo/v1/ps", "/nothing", "/healthz"])
    await (await fetch(`${server.url}${path}`)).text();
  await (await fetch(`${server.url}/v1/chat/completions`, { method: "POST", body: "{" })).text();
  console.info(`a node has ${(await smallBytes(server.pid)) / 1e6} MB resident`);
  expect(childrenOf(server.pid)).toEqual([]);
});

test(`exo version takes less than ${VERSION_USED_MS_MAX} ms of processor`, () => {
  const path = binary();
  const times = Array.from({ length: 9 }, () => {
    const start = performance.now();
    const { exitCode, resourceUsage } = Bun.spawnSync([path, "version"]);
    expect(exitCode).toBe(0);
    return { ms: performance.now() - start, used: Number(resourceUsage.cpuTime.total) / 1000 };
  });
  console.info(`exo version takes ${median(times.map(({ ms }) => ms)).toFixed(1)} ms (median of 9)`);
  expect(Math.min(...times.map(({ used }) => used))).toBeLessThan(VERSION_USED_MS_MAX);
});

test(`a cold exo run has loaded the model and said its first token within ${FIRST_TOKEN_MS_MAX} ms`, async () => {
  using home = freshFolder();
  const question = "What is the capital of France, and what is it known for?";
  const ask = async () => {
    const start = performance.now();
    const args = ["run", "smollm2", question, "--max-tokens", "1", "--temp", "0", "--json"];
    const { promptTokens, completionTokens } = JSON.parse((await run(args, { home: home.path })).out);
    return { ms: performance.now() - start, counts: [promptTokens >= 40, completionTokens] };
  };
  const unpacking = await ask();
  const asked = [await ask(), await ask(), await ask()];
  const ms = median(asked.map((each) => each.ms));
  console.info(
    `first token after ${ms.toFixed(0)} ms (median of 3), ${unpacking.ms.toFixed(0)} ms when it unpacks first`,
  );
  expect(asked.map(({ counts }) => counts)).toEqual(Array(3).fill([true, 1]));
  expect(ms).toBeLessThan(FIRST_TOKEN_MS_MAX);
});

/**
 * Waits until a node that nobody asks anything is as small as it shall be, and answers how small. A first start makes a certificate, whose
 * 9 MB are given back at the first look of runtime/machine/footprint.ts, 10 s after it.
 */
async function smallBytes(pid: number): Promise<number> {
  let bytes = 0;
  const isSmall = async () => {
    bytes = await residentBytes(pid);
    return bytes <= RESIDENT_BYTES_MAX;
  };
  await until(`at most ${RESIDENT_BYTES_MAX / 1e6} MB resident`, isSmall, SMALL_AFTER_MS);
  return bytes;
}

/** VmRSS of proc(5): the binary's own mapped pages count. */
async function residentBytes(pid: number): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}
