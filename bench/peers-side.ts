/** One side of the comparison: a child process that holds the model and does one run per line of JSON. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { readCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import type { KvQuant } from "#protocol/shard";
import { benchCache } from "./models.ts";

export const SIDES = ["exo", "llama.cpp", "mlx-lm"] as const;
export type SideName = (typeof SIDES)[number];

export interface Run {
  /** One list of token ids for each stream; all are asked for at once. */
  readonly prompts: readonly (readonly number[])[];
  /** Tokens of each answer. */
  readonly output: number;
  /** What an earlier run left of the same prompt may be used: it is not the prompt that is measured. */
  readonly reuse?: boolean;
}

/** One stream's answer: the tokens, and when each came, in milliseconds from the start of the run. */
export interface Answer {
  readonly ids: readonly number[];
  readonly ms: readonly number[];
}

/** A program that holds a model and does one run per line of JSON. */
export interface Answering extends AsyncDisposable {
  readonly version: string;
  /** An answer of another length than asked for is an error: something else was measured. */
  run(run: Run): Promise<readonly Answer[]>;
}

export interface Side extends Answering {
  readonly name: SideName;
  readonly threads: number;
}

export interface SideOptions {
  readonly threads: number;
  /** A GGUF file. */
  readonly model: string;
  /** Tokens. */
  readonly context: number;
  /** Answers at once, at most. */
  readonly streams?: number;
  /** How exo keeps keys and values; absent: as it does by itself, in f16. */
  readonly kvQuant?: KvQuant;
}

const cache = benchCache;
const here = join(import.meta.dir, "peers");

/** MLX computes quantised products on one thread whatever it is told. */
export const takesThreads = (name: SideName): boolean => name !== "mlx-lm";

export async function openSide(name: SideName, options: SideOptions): Promise<Side> {
  const { threads } = options;
  const env = { EXO_THREADS: String(threads) };
  return { name, threads, ...(await answering(name, await commandOf(name, options), env)) };
}

/** Starts such a program; returns when it has loaded its model. */
export async function answering(
  name: string,
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Answering> {
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...env },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = linesOf(child.stdout);
  const answer = async <T>(): Promise<T> => {
    const { value, done } = await lines.next();
    if (done || value === undefined)
      throw new Error(`${name} ended with ${await child.exited} before it answered`);
    return JSON.parse(value) as T;
  };
  const { version } = await answer<{ version: string }>();
  return {
    version,
    async run(run) {
      child.stdin.write(`${JSON.stringify(run)}\n`);
      child.stdin.flush();
      const { answers } = await answer<{ answers: readonly Answer[] }>();
      for (const each of answers) requireWhole(name, run, each);
      return answers;
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}

export function requireWhole(name: string, { output }: Run, { ids, ms }: Answer): void {
  if (ids.length !== output || ms.length !== ids.length)
    throw new Error(`${name} answered ${ids.length} tokens instead of ${output}`);
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    // A library may print a line of its own; ours are JSON objects.
    yield* lines.filter((line) => line.startsWith("{"));
  }
}

async function commandOf(
  name: SideName,
  { model, threads, context, streams = 1, kvQuant }: SideOptions,
): Promise<string[]> {
  switch (name) {
    case "exo":
      return [
        process.execPath,
        join(import.meta.dir, "peers-exo.ts"),
        model,
        String(context),
        kvQuant ?? "f16",
      ];
    case "llama.cpp":
      return [
        "node",
        join(here, "llama.mjs"),
        await llamaPackages(),
        model,
        String(threads),
        String(context),
        String(streams),
      ];
    case "mlx-lm":
      return [await mlxPython(), join(here, "mlx_lm_side.py"), model, await mlxConfig(model)];
  }
}

function must(command: readonly string[], folder: string): void {
  const { exitCode } = Bun.spawnSync([...command], { cwd: folder, stdout: "ignore", stderr: "inherit" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed with ${exitCode}`);
}

/** Only the plain build for this machine: the package's own list would bring every graphics card's. */
async function llamaPackages(): Promise<string> {
  const folder = join(cache, "llama");
  const { dependencies } = await Bun.file(join(here, "package.json")).json();
  const version: string = dependencies["node-llama-cpp"];
  const installed = join(folder, "node_modules", "node-llama-cpp", "package.json");
  const found = existsSync(installed) ? (await Bun.file(installed).json()).version : undefined;
  if (found !== version) {
    console.error(`installing node-llama-cpp ${version} into .cache/bench`);
    mkdirSync(folder, { recursive: true });
    await Bun.write(join(folder, "package.json"), '{"private":true}');
    const platform =
      process.platform === "darwin"
        ? process.arch === "arm64"
          ? "mac-arm64-metal"
          : "mac-x64"
        : `linux-${process.arch}`;
    const packages = [`node-llama-cpp@${version}`, `@node-llama-cpp/${platform}@${version}`];
    must(
      ["npm", "install", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", ...packages],
      folder,
    );
  }
  return join(folder, "node_modules");
}

async function mlxPython(): Promise<string> {
  const folder = join(cache, "mlx");
  const python = join(folder, "bin", "python");
  const requirements = join(here, "requirements.txt");
  const stamp = join(folder, "requirements.txt");
  const wanted = await Bun.file(requirements).text();
  if (!existsSync(stamp) || (await Bun.file(stamp).text()) !== wanted) {
    console.error("installing mlx-lm into .cache/bench");
    mkdirSync(cache, { recursive: true });
    must(["python3", "-m", "venv", folder], cache);
    must([python, "-m", "pip", "install", "--quiet", "-r", requirements], cache);
    await Bun.write(stamp, wanted);
  }
  return python;
}

/** The shape in mlx-lm's words, as exo reads it from the file. */
async function mlxConfig(model: string): Promise<string> {
  const { config } = readCheckpoint(model);
  const { rope_parameters } = config as { rope_parameters?: { rope_theta?: number } };
  const kept = ["model_type", "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads"];
  const more = ["num_key_value_heads", "head_dim", "rms_norm_eps", "vocab_size", "max_position_embeddings"];
  const entries = Object.entries(config).filter(([key]) =>
    [...kept, ...more, "tie_word_embeddings"].includes(key),
  );
  const path = join(cache, "mlx-config.json");
  await Bun.write(
    path,
    JSON.stringify({ ...Object.fromEntries(entries), rope_theta: rope_parameters?.rope_theta ?? 10_000 }),
  );
  return path;
}
