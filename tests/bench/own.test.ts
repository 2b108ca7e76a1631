/** `exo bench` against the own exo, with an engine that computes: in this process, without HTTP, and one that serves. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { exo, freshFolder } from "../cli/exo.ts";
import { serving } from "../cli/serving.ts";
import { tinyConfig, tinyFolder } from "../e2e/tiny-folder.ts";

/** Engines start here, on machines that do other things too. */
setDefaultTimeout(120_000);

/** A context that holds the words by which the bench learns token ids. */
const tiny = (home: string): string =>
  tinyFolder(join(home, "tiny"), {
    "config.json": JSON.stringify({ ...tinyConfig, max_position_embeddings: 2048 }),
  });

const SHORT = ["-p", "20", "-n", "6", "-r", "2", "--warmup", "1"];

/** What a bench of two runs with one request each says of its target and its requests. */
async function measured(home: string, args: readonly string[] = [], env: Record<string, string> = {}) {
  const { code, out, err } = await exo(["bench", tiny(home), ...SHORT, ...args, "--json"], { home, env });
  if (code !== 0) return err + out;
  const { state, environment, cells } = JSON.parse(out);
  const { kind, api, promptsBy, url } = environment.target;
  const [{ summary }] = cells;
  return {
    target: [kind, api, promptsBy, url.split(":")[0]],
    found: [state, summary.requests, summary.errors, summary.promptTokens, summary.outputTokens],
    pieces: summary.itl.count,
    ...(environment.kernels && { set: [environment.kernels, environment.threads] }),
  };
}

const EXACT = { found: ["complete", 2, 0, 20, 6], pieces: 10 };

test("a model is measured in process, and without HTTP, by prompts and answers of exact lengths", async () => {
  using home = freshFolder();
  const settings = { EXO_CPU_KERNELS: "portable", EXO_THREADS: "1" };
  expect([await measured(home.path, [], settings), await measured(home.path, ["--api", "engine"])]).toEqual([
    { target: ["in process", "completions", "token ids", "http"], ...EXACT, set: ["portable", "1"] },
    { target: ["in process", "engine", "token ids", "engine"], ...EXACT },
  ]);
});

test("an exo that serves is measured, also over the TLS that it speaks in the network", async () => {
  using home = freshFolder();
  await exo(["key", "create", "laptop"], { home: home.path });
  await using server = await serving(home.path, ["--bind", "0.0.0.0"]);
  expect([server.url.split(":")[0], await measured(home.path)]).toEqual([
    "https",
    { target: ["daemon", "completions", "token ids", "https"], ...EXACT },
  ]);
  expect(await measured(home.path, ["--url", `${server.url}/v1`])).toEqual({
    target: ["url", "completions", "token ids", "https"],
    ...EXACT,
  });
});
