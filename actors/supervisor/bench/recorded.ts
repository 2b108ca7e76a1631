/** Requests that lie in files: traces with times, ShareGPT conversations, lists of messages. */
import { Problem } from "#protocol/problem";
import type { Data } from "./bench-config.ts";
import { jsonLines, type NumberedLine, wrongLine } from "./json-lines.ts";
import type { Message } from "./question.ts";
import type { Recorded } from "./workload.ts";

/** Empty for data that is made rather than read. Throws Problem with the line that is wrong. */
export function recordedOf(data: Data | undefined, read: (path: string) => string): readonly Recorded[] {
  switch (data?.type) {
    case "trace":
      return fromZero(jsonLines(read(data.path), data.path).map(traceEntry(data.path)));
    case "messages":
      return jsonLines(read(data.path), data.path).map(messagesEntry(data.path));
    case "sharegpt":
      return sharegpt(read(data.path), data.path);
    default:
      return [];
  }
}

/** `{timestamp, input_length, output_length}` in ms (Mooncake, vLLM's timed trace) or `{at, prompt_tokens, output_tokens}` in s. */
const traceEntry =
  (path: string) =>
  ({ line, value }: NumberedLine): Recorded => {
    const atMs = numberIn(value.timestamp) ?? scaled(numberIn(value.at), 1000);
    const promptTokens = numberIn(value.input_length) ?? numberIn(value.prompt_tokens);
    const outputTokens = numberIn(value.output_length) ?? numberIn(value.output_tokens);
    const messages = messagesIn(value.messages);
    if (atMs === undefined) throw wrongLine(path, line, "has no time: timestamp (ms) or at (s)");
    if (promptTokens === undefined && !messages)
      throw wrongLine(path, line, "has neither prompt_tokens nor messages");
    return { atMs, ...lengthsOf(promptTokens, outputTokens), ...(messages && { messages }) };
  };

const messagesEntry =
  (path: string) =>
  ({ line, value }: NumberedLine): Recorded => {
    const messages = messagesIn(value.messages);
    if (!messages) throw wrongLine(path, line, "has no messages, a list of {role, content}");
    return { messages, ...lengthsOf(undefined, numberIn(value.max_tokens) ?? numberIn(value.output_tokens)) };
  };

/** ShareGPT: https://huggingface.co/datasets/anon8231489123/ShareGPT_Vicuna_unfiltered; the first human turn is asked. */
function sharegpt(text: string, path: string): readonly Recorded[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new Problem(
      "invalid",
      `${path} is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const found = (Array.isArray(list) ? list : []).flatMap((entry) => {
    const turn = entry?.conversations?.find?.(
      (each: { from?: string }) => each.from === "human" || each.from === "user",
    );
    return typeof turn?.value === "string" && turn.value !== ""
      ? [{ messages: [{ role: "user", content: turn.value }] }]
      : [];
  });
  if (found.length > 0) return found;
  throw new Problem("invalid", `${path} holds no conversation that a human begins`, {
    remedy: "give a ShareGPT file: a list of {conversations: [{from, value}]}",
  });
}

function fromZero(entries: readonly Recorded[]): readonly Recorded[] {
  const sorted = entries.toSorted((a, b) => (a.atMs ?? 0) - (b.atMs ?? 0));
  const first = sorted[0]?.atMs ?? 0;
  return sorted.map((entry) => ({ ...entry, atMs: (entry.atMs ?? 0) - first }));
}

const numberIn = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;

const scaled = (value: number | undefined, by: number): number | undefined =>
  value === undefined ? undefined : value * by;

function messagesIn(value: unknown): readonly Message[] | undefined {
  const isMessage = (each: unknown): each is Message =>
    typeof (each as Message | null)?.role === "string" &&
    typeof (each as Message | null)?.content === "string";
  return Array.isArray(value) && value.length > 0 && value.every(isMessage) ? value : undefined;
}

const lengthsOf = (promptTokens: number | undefined, outputTokens: number | undefined) => ({
  ...(promptTokens !== undefined && { promptTokens: Math.max(1, Math.round(promptTokens)) }),
  ...(outputTokens !== undefined && { outputTokens: Math.max(1, Math.round(outputTokens)) }),
});
