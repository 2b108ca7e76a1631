/** One answer of a model over HTTP: the request it takes, the pieces that come, the figures at the end. */
import type { Clock } from "#actors/runtime/clock";
import type { Client } from "./client.ts";

export interface ChatTurn {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** In the spelling of the API; what is absent is the model's own choice. */
export interface Sampling {
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly seed?: number;
  readonly max_tokens?: number;
  readonly stop?: readonly string[];
}

export interface Question {
  readonly model: string;
  /** A conversation, or text to be continued as it is. */
  readonly prompt: readonly ChatTurn[] | string;
  readonly sampling: Sampling;
}

export interface Figures {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** From the request to the first piece of text. */
  readonly firstMs: number;
  /** From the request to the end. */
  readonly totalMs: number;
  /** Time the engine spent on new tokens, where it says so. */
  readonly decodeMs?: number;
  readonly finishReason: string;
}

export interface AnswerPorts {
  readonly client: Client;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Each piece as it comes; thinking is told apart. */
  readonly onText: (text: string, kind: "answer" | "thinking") => void;
}

/** Streams an answer; throws Problem. An aborted signal throws its reason. */
export async function answer(
  question: Question,
  { client, clock, signal, onText }: AnswerPorts,
): Promise<Figures> {
  const startMs = clock.nowMs();
  let firstMs: number | undefined;
  let finishReason = "";
  let last: Piece = {};
  const tell = (text: string | undefined, kind: "answer" | "thinking") => {
    if (!text) return;
    firstMs ??= clock.nowMs() - startMs;
    onText(text, kind);
  };
  for await (const event of client.stream(pathOf(question), bodyOf(question), signal)) {
    const piece = event as Piece;
    const choice = piece.choices?.[0];
    tell(choice?.delta?.reasoning_content, "thinking");
    tell(choice?.delta?.content ?? choice?.text, "answer");
    finishReason = choice?.finish_reason ?? finishReason;
    if (piece.usage) last = piece;
  }
  const totalMs = clock.nowMs() - startMs;
  return {
    promptTokens: last.usage?.prompt_tokens ?? 0,
    cachedTokens: last.usage?.prompt_tokens_details?.cached_tokens ?? 0,
    completionTokens: last.usage?.completion_tokens ?? 0,
    firstMs: firstMs ?? totalMs,
    totalMs,
    ...(last.timings && { decodeMs: last.timings.decode_ms }),
    finishReason,
  };
}

/** What is read of a chunk: https://platform.openai.com/docs/api-reference/chat/streaming; `timings` is ours. */
interface Piece {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string; readonly reasoning_content?: string };
    readonly text?: string;
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details?: { readonly cached_tokens: number };
  };
  readonly timings?: { readonly decode_ms: number };
}

const pathOf = ({ prompt }: Question): string =>
  typeof prompt === "string" ? "/v1/completions" : "/v1/chat/completions";

/** Who names no temperature gets the likeliest answer, each time the same, unless the model's authors chose otherwise. */
const FALLBACK_TEMPERATURE = 0;

function bodyOf({ model, prompt, sampling }: Question): object {
  const streamed = { stream: true, stream_options: { include_usage: true } };
  const asked = typeof prompt === "string" ? { prompt } : { messages: prompt };
  return { model, ...asked, fallback_temperature: FALLBACK_TEMPERATURE, ...sampling, ...streamed };
}

/** `prompt 41 tok (0 cached) · 0.44 s to first token · 12 tok at 18.7 tok/s · 1.1 s` */
export function shownFigures(figures: Figures): string {
  const { promptTokens, cachedTokens, completionTokens, firstMs, totalMs, decodeMs } = figures;
  const cached = cachedTokens > 0 ? ` (${cachedTokens} cached)` : "";
  const spentMs = decodeMs ?? totalMs - firstMs;
  const rate = spentMs > 0 ? ` at ${((completionTokens * 1000) / spentMs).toFixed(1)} tok/s` : "";
  const first = (firstMs / 1000).toFixed(2);
  return `prompt ${promptTokens} tok${cached} · ${first} s to first token · ${completionTokens} tok${rate} · ${(totalMs / 1000).toFixed(1)} s`;
}
