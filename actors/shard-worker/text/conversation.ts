/** A conversation through its model's template to token ids. */

import type { ChatMessage, Prompt } from "#protocol/generation";
import { Problem } from "#protocol/problem";
import { AddedTokens } from "./added-tokens.ts";
import { chooseTemplate, compileTemplate, renderTemplate } from "./chat-template.ts";
import type { Program } from "./jinja/ast.ts";
import { dataFromJson, valueFromData } from "./jinja/json.ts";
import type { Value } from "./jinja/values.ts";
import { soughtTexts } from "./sought-texts.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { disarmed, freeMark, mapTexts } from "./user-text.ts";

export type MessagesPrompt = Extract<Prompt, { type: "messages" }>;

interface Compiled {
  readonly program: Program;
  /** Control tokens of an assistant's text that must not get through: all but those the template itself looks for. */
  readonly assistantControl: AddedTokens;
}

/** Writes conversations for one model. Templates are compiled at their first use and kept. */
export class Conversations {
  readonly #tokenizer: Tokenizer;
  readonly #nowMs: () => number;
  readonly #compiled = new Map<string, Compiled>();

  constructor(tokenizer: Tokenizer, nowMs: () => number) {
    this.#tokenizer = tokenizer;
    this.#nowMs = nowMs;
  }

  /** @throws Problem `invalid` where there is no template, or it refuses or fails; `contextLength` as `Tokenizer.encode`. */
  encode(prompt: MessagesPrompt, most?: number): number[] {
    const { text, mark } = this.render(prompt);
    return this.#tokenizer.encode(text, { mark, most });
  }

  /** The rendered text; `mark` is in it where users' text would otherwise read as a control token. */
  render(prompt: MessagesPrompt): { readonly text: string; readonly mark: string | undefined } {
    const { templates } = this.#tokenizer.source;
    const tools = prompt.tools?.length ? prompt.tools : null;
    const compiled = this.#compile(chooseTemplate(templates, tools !== null));
    const mark = freeMark(prompt);
    if (mark === undefined) {
      throw new Problem(
        "invalid",
        "the messages hold every one of the reserved characters U+FDD0 to U+FDEF",
        {
          param: "messages",
          remedy: "leave them out: they are not text",
        },
      );
    }
    const text = this.#withArguments(prompt, (asText) => {
      const variables = this.#variables(prompt, { compiled, mark, asText, tools });
      return this.#finished(renderTemplate(compiled.program, variables, { nowMs: this.#nowMs() }), variables);
    });
    return { text, mark: text.includes(mark) ? mark : undefined };
  }

  #compile(source: string): Compiled {
    const known = this.#compiled.get(source);
    if (known) return known;
    const program = compileTemplate(source);
    const sought = soughtTexts(program);
    const hidden = [...this.#tokenizer.added.values()].filter(
      ({ special, content }) => special && !sought.some((text) => text.includes(content)),
    );
    const compiled = { program, assistantControl: new AddedTokens(hidden) };
    this.#compiled.set(source, compiled);
    return compiled;
  }

  /** Most templates want a tool call's arguments as data; a few join them to text and fail on data. */
  #withArguments(prompt: MessagesPrompt, rendered: (asText: boolean) => string): string {
    try {
      return rendered(false);
    } catch (error) {
      if (!prompt.messages.some(({ toolCalls }) => toolCalls?.length)) throw error;
      try {
        return rendered(true);
      } catch {
        throw error;
      }
    }
  }

  #variables(
    prompt: MessagesPrompt,
    how: { compiled: Compiled; mark: string; asText: boolean; tools: readonly unknown[] | null },
  ): Record<string, Value> {
    const { control, source } = this.#tokenizer;
    const safe = (data: unknown): unknown => mapTexts(data, (text) => disarmed(text, control, how.mark));
    const messages = prompt.messages.map((message) => {
      const guard = message.role === "assistant" ? how.compiled.assistantControl : control;
      return messageValue(message, how.asText, (text) => disarmed(text, guard, how.mark));
    });
    const extra = Object.entries(prompt.templateVariables ?? {});
    return {
      ...Object.fromEntries(Object.entries(source.names).filter(([, token]) => token !== undefined)),
      messages,
      tools: valueFromData(safe(how.tools)),
      documents: null,
      add_generation_prompt: prompt.templateVariables?.continue_final_message !== true,
      ...Object.fromEntries(extra.map(([name, data]) => [name, valueFromData(safe(data))])),
    };
  }

  /** With `continue_final_message` the text ends where the last message ends, so that the model goes on from there. */
  #finished(text: string, variables: Record<string, Value>): string {
    if (variables.continue_final_message !== true) return text;
    const messages = variables.messages;
    const last = Array.isArray(messages) ? messages.at(-1) : undefined;
    const content = last instanceof Map ? last.get("content") : undefined;
    const final = typeof content === "string" ? content : "";
    const [at, found] = [text.lastIndexOf(final), text.lastIndexOf(final.trim())];
    if (final.trim() === "" || found < 0) {
      throw new Problem(
        "invalid",
        "the chat template does not write the last message out, so it cannot be continued",
        {
          param: "continue_final_message",
          remedy: "leave continue_final_message out",
        },
      );
    }
    // A template that trims the message loses the spaces at its end; one that does not keeps them.
    return at >= 0 ? text.slice(0, at + final.length) : text.slice(0, found + final.trim().length);
  }
}

/** A message in the words that templates know. */
function messageValue(message: ChatMessage, asText: boolean, safe: (text: string) => string): Value {
  const entries: [string, Value][] = [
    ["role", message.role],
    ["content", safe(message.content)],
  ];
  if (message.name !== undefined) entries.push(["name", safe(message.name)]);
  if (message.reasoning !== undefined) entries.push(["reasoning_content", safe(message.reasoning)]);
  if (message.toolCallId !== undefined) entries.push(["tool_call_id", safe(message.toolCallId)]);
  if (message.toolCalls?.length) {
    const calls = message.toolCalls.map((call): Value => {
      const called = new Map<Value, Value>([
        ["name", safe(call.name)],
        ["arguments", asText ? safe(call.arguments) : dataOf(call.arguments, safe)],
      ]);
      return new Map<Value, Value>([
        ["id", safe(call.id)],
        ["type", "function"],
        ["function", called],
      ]);
    });
    entries.push(["tool_calls", calls]);
  }
  return new Map<Value, Value>(entries);
}

/**
 * Arguments as data; as text where the model wrote something that is not JSON. They are made safe once parsed: an escape
 * can spell a control token that the JSON itself does not show.
 */
function dataOf(json: string, safe: (text: string) => string): Value {
  try {
    return valueFromData(mapTexts(dataFromJson(json), safe));
  } catch {
    return safe(json);
  }
}
