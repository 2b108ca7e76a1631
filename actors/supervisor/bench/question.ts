/** A request of the benchmark in the words of each API, and what its answer's pieces say. */
import type { TargetAbilities } from "./abilities.ts";

export type PromptText =
  | { readonly type: "tokens"; readonly ids: readonly number[] }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "messages"; readonly messages: readonly Message[] };

export interface Message {
  readonly role: string;
  readonly content: string;
}

export interface Question {
  readonly model: string;
  readonly prompt: PromptText;
  readonly outputTokens: number;
  readonly temperature: number;
  readonly stream: boolean;
  /** The answer must have exactly `outputTokens`, where the target can be told so. */
  readonly exact: boolean;
}

export function pathOf({ api }: Pick<TargetAbilities, "api">): string {
  return api === "chat" ? "/chat/completions" : "/completions";
}

export function bodyOf(question: Question, abilities: TargetAbilities): object {
  const { model, prompt, outputTokens, temperature, stream, exact } = question;
  return {
    model,
    ...promptOf(prompt, abilities),
    max_tokens: outputTokens,
    temperature,
    stream,
    ...(stream && { stream_options: { include_usage: true } }),
    ...(exact && abilities.lengthens === "ignore_eos" && { ignore_eos: true }),
    ...(exact && abilities.lengthens === "min_tokens" && { min_tokens: outputTokens }),
    ...(abilities.tokenIds && { return_token_ids: true }),
  };
}

function promptOf(prompt: PromptText, { api }: TargetAbilities): object {
  if (api === "chat")
    return {
      messages: prompt.type === "messages" ? prompt.messages : [{ role: "user", content: textOf(prompt) }],
    };
  return { prompt: prompt.type === "tokens" ? prompt.ids : textOf(prompt) };
}

/** A chat API takes no token ids; prompts for it are never made of them. */
function textOf(prompt: PromptText): string {
  if (prompt.type === "text") return prompt.text;
  if (prompt.type === "messages") return prompt.messages.map(({ content }) => content).join("\n");
  throw new Error("token ids need the completions API");
}

/** What is read of an answer, whole or streamed: https://platform.openai.com/docs/api-reference/chat/streaming. */
export interface Answered {
  readonly choices?: readonly {
    readonly delta?: Said;
    readonly message?: Said;
    readonly text?: string;
    readonly finish_reason?: string | null;
    /** An extension that vLLM and exo share. */
    readonly token_ids?: readonly number[] | null;
    readonly prompt_token_ids?: readonly number[] | null;
  }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null;
  } | null;
  /** An extension of exo's. */
  readonly timings?: { readonly queue_ms?: number };
  readonly error?: unknown;
}

interface Said {
  readonly content?: string | null;
  readonly reasoning_content?: string | null;
  readonly reasoning?: string | null;
}

export interface PieceSaid {
  readonly answer: string;
  readonly reasoning: string;
  /** Absent where the target does not say. */
  readonly ids?: readonly number[];
}

/** Undefined for pieces that bear no token: a role, the finish, the usage. */
export function saidIn({ choices }: Answered): PieceSaid | undefined {
  const choice = choices?.[0];
  const said = choice?.delta ?? choice?.message;
  const answer = said?.content ?? choice?.text ?? "";
  const reasoning = said?.reasoning_content ?? said?.reasoning ?? "";
  const ids = choice?.token_ids ?? undefined;
  if (answer === "" && reasoning === "" && !ids?.length) return undefined;
  return { answer, reasoning, ...(ids && { ids }) };
}

/** The sentence of an error body, whatever shape the server gives it. */
export function reasonOf(text: string, status?: number): string {
  const said = messageIn(text) ?? text.trim();
  const cut = said.length > REASON_CHARS_MAX ? `${said.slice(0, REASON_CHARS_MAX)}…` : said;
  return status === undefined ? cut : `HTTP ${status}: ${cut || "no reason given"}`;
}

const REASON_CHARS_MAX = 300;

function messageIn(text: string): string | undefined {
  try {
    const { error, message, detail } = JSON.parse(text);
    const said = error?.message ?? error ?? message ?? detail;
    return said === undefined ? undefined : typeof said === "string" ? said : JSON.stringify(said);
  } catch {
    return undefined;
  }
}
