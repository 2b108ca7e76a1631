import { expect, test } from "bun:test";
import { limitsOf } from "#actors/supervisor/bench/asked-for";
import { boundsOnly, compare } from "#actors/supervisor/bench/compare";
import { readConfig } from "#actors/supervisor/bench/read-config";
import { benchmark } from "./bench-world.ts";
import { reportOf } from "./sample-report.ts";

/** Answers by what a question holds; a tool call where the answer begins with a brace. */
const answering = (answers: Readonly<Record<string, string>>) => (question: string) =>
  Object.entries(answers).find(([part]) => question.includes(part))?.[1];

const quality = async (check: string, answers: Readonly<Record<string, string>>, files = {}) => {
  const { done } = await benchmark(`  - {name: q, output_tokens: 2, check: {${check}}}`, {
    files,
    speeds: { answer: answering(answers) },
  });
  return { found: done.quality, warnings: done.warnings };
};

test("answers are right when they hold the expected word, and the wrong ones are named", async () => {
  const files = {
    "a.jsonl": [
      { prompt: "The capital of France is", expect: "Paris" },
      { prompt: "The capital of Peru is", expect: "Lima" },
    ]
      .map((each) => JSON.stringify(each))
      .join("\n"),
  };
  const { found } = await quality(
    "answers: a.jsonl",
    { France: " the city of paris.", Peru: " Quito" },
    files,
  );
  expect(found).toEqual([
    { scenario: "q", model: "m", check: "answers", value: 0.5, count: 2, wrong: ["The capital of Peru is"] },
  ]);
});

test("tool calls are right by name and arguments; a target that refuses tools is told, not counted", async () => {
  const call = (name: string, args: object) =>
    JSON.stringify({ tool_calls: [{ function: { name, arguments: JSON.stringify(args) } }] });
  const { found } = await quality("tools: builtin", {
    Paris: call("get_weather", { city: "paris", unit: "C" }),
    Tokyo: call("get_weather", { city: "Kyoto" }),
    "1234": call("add", { a: 1234, b: 4321 }),
    timer: '{"tool_calls": [{"function": {"name": "set_timer", "arguments": "{half"}}]}',
    Lunch: call("send_email", { to: "ann@example.com", subject: "Lunch" }),
    notes: "I cannot read files.",
  });
  expect(found).toEqual([
    {
      scenario: "q",
      model: "m",
      check: "tools",
      value: 0.5,
      count: 6,
      wrong: ["Is it raining in Tokyo?", "Set a timer for 15 minutes.", "Show me what is in notes.txt."],
    },
  ]);
  const { done } = await benchmark("  - {name: q, output_tokens: 2, check: {tools: builtin}}", {
    speeds: { refuses: ["tools"] },
  });
  expect([done.quality, done.warnings]).toEqual([
    [],
    ["q: tools is not known: the target refuses tools: HTTP 400: tools is not known"],
  ]);
});

test("a file of questions that is missing or wrong is said before anything is measured", async () => {
  const asked = async (files: Readonly<Record<string, string>>) =>
    await benchmark("  - {name: q, check: {answers: a.jsonl}}", { files, strict: true }).then(
      () => "measured",
      ({ message }) => message,
    );
  expect([await asked({}), await asked({ "a.jsonl": '{"prompt": "x"}\n' })]).toEqual([
    "a.jsonl does not exist",
    "a.jsonl:1: needs prompt and expect, both text",
  ]);
});

test("a check without a limit of its own fails the run when answers got worse", () => {
  const limits = (more: string) =>
    limitsOf(
      readConfig(
        `models: [m]\nscenarios: [{name: q, check: {perplexity: t.txt, answers: builtin}}]\n${more}`,
        "c",
      ),
    );
  const report = (perplexity: number, answers: number) => ({
    ...reportOf(),
    quality: [
      { scenario: "q", model: "m", check: "perplexity", value: perplexity, count: 9 } as const,
      { scenario: "q", model: "m", check: "answers", value: answers, count: 12 } as const,
    ],
  });
  const broken = (after: ReturnType<typeof report>, more = "") =>
    compare(report(10, 0.75), after, limits(more)).broken.map(({ metric, found }) => `${metric} ${found}`);
  expect([
    broken(report(10.05, 0.75)),
    broken(report(10.5, 0.75)),
    broken(report(10, 0.5)),
    broken(report(10.5, 0.5), 'compare: {fail_if: {perplexity: "+9%", answers: "<0.4"}}'),
    boundsOnly(report(99, 0.1), limits('compare: {fail_if: {answers: "<0.4"}}')).broken.length,
  ]).toEqual([[], ["perplexity +5.0 %"], ["answers −33.3 %"], [], 1]);
});
