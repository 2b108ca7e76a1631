import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { parse, stringify } from "yaml";
import { compare } from "#actors/supervisor/bench/compare";
import { BenchConfigFile } from "#actors/supervisor/bench/config-schema";
import { readConfig } from "#actors/supervisor/bench/read-config";
import { faultIn } from "#actors/supervisor/bench/report-fault";
import { schemaText } from "#actors/supervisor/bench/schemas";
import { Problem } from "#protocol/problem";
import { EVERYTHING } from "./every-key.ts";
import { reportOf } from "./sample-report.ts";

setDefaultTimeout(60_000);

const folder = join(import.meta.dir, "../../actors/supervisor/bench/schemas");

test("the published schemas are those of this version (again: exo bench schema config > config.schema.json)", async () => {
  for (const which of ["config", "report"] as const)
    expect(await Bun.file(join(folder, `${which}.schema.json`)).json()).toEqual(
      JSON.parse(schemaText(which)),
    );
});

/** A YAML value, and where in it one thing is to be changed. */
type Path = readonly (string | number)[];

function pathsOf(value: unknown, at: Path = []): readonly Path[] {
  const entries: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
    ? value.map((each, i) => [i, each] as const)
    : typeof value === "object" && value !== null
      ? Object.entries(value)
      : [];
  return [at, ...entries.flatMap(([key, each]) => pathsOf(each, [...at, key]))];
}

function changed(value: unknown, [key, ...rest]: Path, by: (old: unknown) => unknown): unknown {
  if (key === undefined) return by(value);
  if (Array.isArray(value)) return value.map((each, i) => (i === key ? changed(each, rest, by) : each));
  const fields = value as Record<string, unknown>;
  return { ...fields, [key]: changed(fields[key], rest, by) };
}

/** Values that are wrong in most places and right in some. */
const STRANGERS: readonly unknown[] = [
  -1,
  0,
  1.5,
  1e12,
  "",
  "soon",
  "5%",
  "-5%",
  "2s",
  "0.5/s",
  "auto",
  true,
  null,
  [],
  {},
  [3],
  { unknown: 1 },
];

/** What the schema leaves to the reader: several keys at once, and texts with a language of their own. */
const READER_ONLY =
  /min .* above max|needs (max|mean)|has both|replays|of the name|regular expression|burstiness, which|must be a URL|must be a bound|above 0/;

function readerSays(config: unknown): string {
  try {
    readConfig(stringify(config), "c.yaml");
    return "";
  } catch (error) {
    return error instanceof Problem ? error.message : String(error);
  }
}

/** Kinds of load and data that the specification's example has not. */
const OTHER_KINDS = `models: m
scenarios:
  - {name: a, data: {prefix_repetition: {prefixes: 2, prefix_tokens: 9}}, load: {type: throughput, requests: 3}}
  - {name: b, data: {trace: t.jsonl}, load: {type: replay, speed: 2, max_concurrency: 4}}
  - {name: c, data: {turns: 3, growth: 20}, load: {type: ramp, from: 1/s, to: 3/s, duration: 9s}}
  - {name: d, prompt_tokens: {dist: uniform, min: 5, max: 9}, load: {type: rate, rate: [1, 2/s], arrival: gamma}}
  - {name: e, data: {sharegpt: s.json}, check: {answers: builtin}, load: {type: single, requests: 2}}
`;

test.each([
  ["the specification's", EVERYTHING],
  ["other kinds'", OTHER_KINDS],
])("%s schema and reader take and refuse the same", (_, yaml) => {
  const config: unknown = parse(yaml, { merge: true });
  expect([readerSays(config), Value.Check(BenchConfigFile, config)]).toEqual(["", true]);
  const differences = pathsOf(config).flatMap((path) =>
    [...STRANGERS, "(key)"].flatMap((stranger) => {
      const other = changed(config, path, (old) =>
        stranger === "(key)" && typeof old === "object" && old !== null && !Array.isArray(old)
          ? { ...old, colour: "red" }
          : stranger,
      );
      const [bySchema, words] = [Value.Check(BenchConfigFile, other), readerSays(other)];
      const isSame = bySchema === (words === "") || (bySchema && READER_ONLY.test(words));
      return isSame ? [] : [`${path.join(".")} = ${JSON.stringify(stranger)}: schema ${bySchema}, ${words}`];
    }),
  );
  expect(differences).toEqual([]);
});

test("a report is as its schema has it, and a damaged one is told by its first fault", () => {
  const report = {
    ...reportOf(),
    comparison: compare(reportOf(), reportOf({ decodeTps: [40, 41, 42] }), []),
  };
  const stored: unknown = JSON.parse(JSON.stringify(report));
  const [cell] = report.cells;
  expect([
    faultIn(stored),
    faultIn({ ...report, cells: "none" }),
    faultIn({ ...report, cells: [{ ...cell, runs: [{ repeat: 0, windowMs: null, samples: [] }] }] }),
  ]).toEqual([undefined, "/cells: expected array", "/cells/0/runs/0/windowMs: expected number"]);
});
