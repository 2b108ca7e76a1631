/** A model's chat template: which one, compiled once, and what it is given. */
import { Problem } from "#protocol/problem";
import type { Program } from "./jinja/ast.ts";
import { OutOfSteps } from "./jinja/budget.ts";
import { globals } from "./jinja/globals.ts";
import { parseTemplate } from "./jinja/parse.ts";
import { render } from "./jinja/render.ts";
import { TemplateError, type Value } from "./jinja/values.ts";

/** Templates by name: `default`, and for some models `tool_use` and others. */
export type ChatTemplates = Readonly<Record<string, string>>;

/**
 * The template that fits: `tool_use` where there are tools and the model has it, else `default`.
 * @throws Problem `invalid` where the model has no template: what to do instead is said.
 */
export function chooseTemplate(templates: ChatTemplates, withTools: boolean): string {
  const chosen = (withTools ? templates.tool_use : undefined) ?? templates.default;
  if (chosen !== undefined) return chosen;
  const names = Object.keys(templates);
  const why =
    names.length === 0
      ? "the model has no chat template, so there is no telling how it wants a conversation written"
      : `the model has chat templates for ${names.join(", ")}, but none for every use`;
  throw new Problem("invalid", why, {
    param: "messages",
    remedy:
      "send bare text to /v1/completions (or exo run --raw), or use an instruction-tuned version of the model",
  });
}

/** @throws Problem `invalid` for source that cannot be read as a template. */
export function compileTemplate(source: string): Program {
  try {
    return parseTemplate(source);
  } catch (cause) {
    throw new Problem("invalid", `the model's chat template cannot be read: ${reason(cause)}`, {
      param: "messages",
      remedy: "use another conversion of the model, or send bare text to /v1/completions",
      cause,
    });
  }
}

/**
 * The conversation as the template writes it.
 * @param variables all that the template may use: `messages`, `tools`, `add_generation_prompt`, `bos_token`, …
 * @param nowMs the time that `strftime_now` tells, in milliseconds since 1970.
 * @throws Problem `invalid` for a template that refuses the conversation, fails, or does not come to an end.
 */
export function renderTemplate(
  program: Program,
  variables: Readonly<Record<string, Value>>,
  { nowMs, steps }: { readonly nowMs: number; readonly steps?: number },
): string {
  try {
    return render(program, { ...globals(nowMs), ...variables }, steps);
  } catch (cause) {
    throw problemOf(cause);
  }
}

function problemOf(cause: unknown): Problem {
  if (cause instanceof TemplateError && cause.raised) {
    return new Problem("invalid", `the model's chat template refuses these messages: ${cause.message}`, {
      param: "messages",
      remedy: "change the messages as the template asks",
      cause,
    });
  }
  const verb = cause instanceof OutOfSteps ? "was stopped" : "failed";
  return new Problem("invalid", `the model's chat template ${verb}: ${reason(cause)}`, {
    param: "messages",
    remedy: "send simpler messages, or use another conversion of the model",
    cause,
  });
}

/** An overflow of the JavaScript stack says nothing of use; what it means here is known. */
const reason = (cause: unknown): string =>
  cause instanceof RangeError
    ? "it is nested too deeply"
    : cause instanceof Error
      ? cause.message
      : String(cause);
