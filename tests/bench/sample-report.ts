/** A small report with known numbers: one cell, as many runs as `decodeTps` has values. */
import type { Environment } from "#actors/supervisor/bench/facts";
import { cellsOf } from "#actors/supervisor/bench/grid";
import type { Measured } from "#actors/supervisor/bench/measure";
import { readConfig } from "#actors/supervisor/bench/read-config";
import { type Report, reportCells } from "#actors/supervisor/bench/report";

const environment: Environment = {
  exo: { version: "1.0.0", commit: "abc1234" },
  bun: "1.4.5",
  os: "linux 6",
  arch: "x64",
  cpu: "A <fast> processor",
  logicalCores: 8,
  memoryBytes: 32e9,
  freeMemoryBytes: 16e9,
  loadAverage: 0.1,
  target: {
    url: "http://127.0.0.1:1/v1",
    kind: "daemon",
    api: "completions",
    promptsBy: "token ids",
    exactLengths: "ignore_eos",
    version: "1.0.0",
  },
  configHash: "00",
};

/** A run of one request of `tokens` tokens, each after 1000 / `decodeTps` ms, the first after 100 ms. */
const measured = (decodeTps: number, repeat: number): Measured => {
  const gap = 1000 / decodeTps;
  const pieces = Array.from({ length: 5 }, (_, i): [number, number] => [i === 0 ? 100 : gap, 1]);
  const endMs = 100 + 4 * gap;
  const sample = {
    scheduledMs: 0,
    sentMs: 0,
    firstMs: 100,
    endMs,
    pieces,
    promptTokens: 10,
    cachedTokens: 0,
    outputTokens: 5,
  };
  return { run: { repeat, windowMs: endMs, samples: [sample] } };
};

export function reportOf({ decodeTps = [50, 50, 50], name = "chat" } = {}): Report {
  const { scenarios } = readConfig(
    `models: [m]\nscenarios: [{name: ${name}, prompt_tokens: 10, output_tokens: 5}]`,
    "c",
  );
  const cells = cellsOf(scenarios, { id: "m" });
  return {
    schema: "exo.bench/1",
    name: "home",
    state: "complete",
    startedAt: "2026-11-21T10:11:12.000Z",
    seconds: 75,
    environment,
    definitions: { ttft: "sent to first" },
    warnings: [],
    skipped: [],
    quality: [],
    cells: reportCells(cells, new Map(cells.map(({ key }) => [key, decodeTps.map(measured)]))),
  };
}
