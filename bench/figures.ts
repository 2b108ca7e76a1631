/**
 * The project's figures and the goals set for them: exo against llama.cpp, stock MLX, the memory of the machine and the
 * clock. Both sides take turns in one run, warmed up first; ratios are of runs of one round, figures are medians.
 *
 *   bun bench/figures.ts [PART...] [--rounds 5] [--threads 1,2] [--file FILE.json] [--markdown]
 *   bun bench/figures.ts --list            the parts, by name
 *   bun bench/figures.ts --show            what the file holds, nothing is measured
 *
 * Every part is kept in the file as soon as it is measured, with commit, machine, every round and what disturbed it; parts
 * can so be measured one by one. `--markdown` prints the README's table instead. Exit code 1: a part failed.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { Part, Settings } from "./figures/part.ts";
import { parts } from "./figures/parts.ts";
import { figuresMarkdown, figuresText, type Kept, type Measured, nothingKept } from "./figures/report.ts";
import { commit, machine, watched } from "./figures/surroundings.ts";
import { benchCache } from "./models.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: [...new Set([1, cpus().length])].join() },
    file: { type: "string", default: join(benchCache, "figures.json") },
    list: { type: "boolean", default: false },
    show: { type: "boolean", default: false },
    markdown: { type: "boolean", default: false },
  },
});
const { file } = values;

if (values.list)
  for (const { name, about } of parts)
    console.log(process.stdout.isTTY ? `${name.padEnd(16)} ${about}` : name);
else process.exitCode = await figures();

async function figures(): Promise<number> {
  const chosen = positionals.length === 0 ? parts : positionals.map(partOf);
  const names = chosen.map(({ name }) => name);
  if (!values.show) for (const part of chosen) await keep(part.name, await measure(part));
  const kept = read();
  process.stdout.write(values.markdown ? figuresMarkdown(kept, names) : figuresText(kept, names));
  return names.some((name) => kept.parts[name]?.failure !== undefined) ? 1 : 0;
}

function partOf(name: string): Part {
  const part = parts.find((each) => each.name === name);
  if (!part) throw new Error(`${name} is no part; there are ${parts.map((each) => each.name).join(", ")}`);
  return part;
}

/** A part that fails is kept as failed, and the others go on. */
async function measure({ name, run, grandchildren = false }: Part): Promise<Measured> {
  const settings: Settings = {
    rounds: Number(values.rounds),
    threads: values.threads.split(",").map(Number),
    log: (line) => console.error(`${name}: ${line}`),
  };
  const facts = {
    commit: commit(),
    at: new Date().toISOString(),
    machine: machine(),
    rounds: settings.rounds,
  };
  const disturbances = watched(grandchildren);
  try {
    const outcome = await run(settings);
    return { ...facts, warnings: disturbances(), outcome };
  } catch (error) {
    console.error(`${name}:`, error);
    return {
      ...facts,
      warnings: disturbances(),
      failure: error instanceof Error ? error.message : String(error),
    };
  }
}

function read(): Kept {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : nothingKept;
}

async function keep(name: string, measured: Measured): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  const { parts: others } = read();
  await Bun.write(file, `${JSON.stringify({ ...nothingKept, parts: { ...others, [name]: measured } })}\n`);
}
