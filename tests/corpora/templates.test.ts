/** Renders equal to Jinja's in Python with transformers' settings; `record_templates.py` recorded them. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { compileTemplate, renderTemplate } from "#actors/shard-worker/text/chat-template";
import { dataFromJson, valueFromData } from "#actors/shard-worker/text/jinja/json";
import type { Value } from "#actors/shard-worker/text/jinja/values";
import { Problem } from "#protocol/problem";

type Outcome = string | { readonly raised: string } | { readonly failed: true };

const read = (...path: readonly string[]): string => readFileSync(join(import.meta.dir, ...path), "utf8");
const renders = JSON.parse(read("renders.json")) as Record<string, Record<string, Outcome>>;
// Numbers such as 1.0 are floats in Python, so the scenarios are read by the reader that keeps them.
const scenarios = valueFromData(dataFromJson(read("scenarios.json"))) as Map<string, Map<string, Value>>;
/** The local time that was recorded with. */
const nowMs = new Date(2025, 2, 9, 14, 5, 6).getTime();

function outcome(source: string, variables: Readonly<Record<string, Value>>): Outcome {
  try {
    return renderTemplate(compileTemplate(source), variables, { nowMs });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const raised = /^the model's chat template refuses these messages: (.*)$/s.exec(error.message);
    return raised ? { raised: raised[1] ?? "" } : { failed: true };
  }
}

for (const file of readdirSync(join(import.meta.dir, "templates"))) {
  const name = file.replace(".jinja", "");
  test(`${name}: every scenario renders as in Python`, () => {
    const source = read("templates", file);
    const recorded = renders[name] ?? {};
    const got = Object.keys(recorded).map((scenario) => [
      scenario,
      outcome(source, Object.fromEntries(scenarios.get(scenario) ?? [])),
    ]);
    expect(Object.fromEntries(got)).toEqual(recorded);
  });
}
