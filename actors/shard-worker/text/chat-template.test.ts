import { expect, test } from "bun:test";
import { Problem } from "#protocol/problem";
import { chooseTemplate, compileTemplate, renderTemplate } from "./chat-template.ts";
import type { Value } from "./jinja/values.ts";

const problem = (act: () => unknown): { kind: string; message: string } => {
  try {
    act();
  } catch (error) {
    if (error instanceof Problem) return { kind: error.kind, message: error.message };
    throw error;
  }
  throw new Error("nothing was thrown");
};
const rendered = (source: string, variables: Record<string, Value> = {}, steps?: number): string =>
  renderTemplate(compileTemplate(source), variables, { nowMs: 0, ...(steps !== undefined && { steps }) });

test("a template that raises says so in its own words", () => {
  expect(problem(() => rendered("{{ raise_exception('roles must alternate') }}"))).toEqual({
    kind: "invalid",
    message: "the model's chat template refuses these messages: roles must alternate",
  });
});

test("a template that fails says why", () => {
  expect(problem(() => rendered("{{ 'a' + 1 }}"))).toEqual({
    kind: "invalid",
    message: `the model's chat template failed: can only concatenate str (not "int") to str`,
  });
});

test("source that is no template is refused when it is read", () => {
  for (const source of [
    "{% if %}",
    "{{ 'open",
    "{% nonsense %}",
    "{{ a b }}",
    `{{ ${"(".repeat(100_000)} }}`,
  ]) {
    expect(problem(() => compileTemplate(source)).message).toStartWith(
      "the model's chat template cannot be read: ",
    );
  }
});

/** A template without end takes hours; one that is stopped takes two seconds of a machine that does much else. */
const boundMs = 60_000;
const endless: Readonly<Record<string, string>> = {
  "loops within loops": "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
  "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
  "macros that branch":
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
  "a text that doubles":
    "{% set ns = namespace(t='x') %}{% for i in range(64) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
  "a list that doubles":
    "{% set ns = namespace(t=[1]) %}{% for i in range(64) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
  "a text repeated": "{{ 'x' * 100000000000 }}",
  "a wide replacement": "{{ ('x' * 100000).replace('x', 'y' * 100000) }}",
  "a wide join": "{{ ('y' * 100000).join(('x' * 100000) | list) }}",
  "a wide range": "{{ range(1000000000) }}",
  "a wide field": "{{ '%999999999d' % 1 }}{{ 'x'.ljust(999999999) | length / 0 }}",
};
for (const [name, source] of Object.entries(endless)) {
  test(
    `a template is stopped: ${name}`,
    () => {
      const started = performance.now();
      expect(problem(() => rendered(source)).kind).toBe("invalid");
      expect(performance.now() - started).toBeLessThan(boundMs);
    },
    2 * boundMs,
  );
}

test("a template that does not end is told apart from one that fails", () => {
  expect(problem(() => rendered("{% for a in range(1000) %}{% endfor %}", {}, 100)).message).toBe(
    "the model's chat template was stopped: it did not come to an end within 100 steps",
  );
});

test("a long conversation stays far below the limit of steps", () => {
  const messages = Array.from({ length: 1000 }, (_, at): Value => {
    return new Map<Value, Value>([
      ["role", at % 2 ? "assistant" : "user"],
      ["content", "word ".repeat(200)],
    ]);
  });
  const source =
    "{% for m in messages %}{% if m.role == 'user' and loop.index0 % 2 == 0 %}[{{ m.content | trim }}]{% else %}" +
    "{{ m['role'] + ': ' + m.content.strip() }}{% endif %}{% endfor %}";
  expect(rendered(source, { messages }, 100_000).length).toBeGreaterThan(1_000_000);
});

test("templates cannot reach what JavaScript objects inherit", () => {
  for (const source of [
    "{{ x.constructor }}",
    "{{ x['__proto__'] }}",
    "{{ ''.constructor }}",
    "{{ [].length }}",
    "{{ constructor }}",
    "{{ loop.constructor }}",
  ]) {
    expect(rendered(source.replace("loop.", "x."), { x: new Map<Value, Value>() })).toBe("");
  }
  expect(problem(() => rendered("{{ 'a' | constructor }}")).message).toEndWith(
    "No filter named 'constructor'.",
  );
  expect(problem(() => rendered("{{ 'a' is toString }}")).message).toEndWith("No test named 'toString'.");
});

test("the template for tools is taken when there are tools, the default one otherwise", () => {
  const templates = { default: "d", tool_use: "t" };
  expect([
    chooseTemplate(templates, true),
    chooseTemplate(templates, false),
    chooseTemplate({ default: "d" }, true),
  ]).toEqual(["t", "d", "d"]);
});

test("a model without a template is told to take bare text", () => {
  const failure = problem(() => chooseTemplate({}, false));
  expect(failure).toEqual({
    kind: "invalid",
    message: "the model has no chat template, so there is no telling how it wants a conversation written",
  });
});
