/** An OpenAI-compatible server without a network, whose tokens come at known moments of a virtual clock. */
import type { Wire } from "#actors/supervisor/bench/wire";
import type { VirtualClock } from "./virtual-clock.ts";

export interface FakeTarget extends Wire {
  readonly asked: readonly Asked[];
}

export interface Asked {
  readonly path: string;
  readonly atMs: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Speeds {
  /** Milliseconds until the first token: a number, or by the request's place among those that stream (from 0). */
  readonly firstMs?: number | ((nth: number) => number);
  /** Milliseconds between tokens. */
  readonly gapMs?: number;
  /** At most so many are computed at once; the others wait. */
  readonly slots?: number;
  /** Tokens of a piece. */
  readonly perPiece?: number;
  /** The server knows token ids and says them. */
  readonly knowsIds?: boolean;
  /** Tokens that its chat template adds. */
  readonly template?: number;
  /** Words that it counts as two tokens. */
  readonly long?: readonly string[];
  /** Streamed requests with these places fail. */
  readonly fails?: readonly number[];
  /** Answers end here even if more was asked, unless told `ignore_eos`. */
  readonly endsAfter?: number;
  /** So many tokens of an answer are thoughts. */
  readonly thinks?: number;
  /** The answer with this place ends after so many tokens, in the middle. */
  readonly breaksAfter?: (nth: number) => number | undefined;
  /** What is said to a question that is not streamed; JSON is a message. */
  readonly answer?: (question: string) => string | undefined;
  readonly busy?: (isBusy: boolean) => void;
  /** Fields that it refuses with 400. */
  readonly refuses?: readonly string[];
}

export function fakeTarget(clock: VirtualClock, speeds: Speeds = {}): FakeTarget {
  const { knowsIds = true, refuses = [], fails = [] } = speeds;
  const asked: Asked[] = [];
  let streamed = 0;
  let busy = 0;
  const waiting: (() => void)[] = [];
  const seat = async () => {
    if (busy >= (speeds.slots ?? Number.POSITIVE_INFINITY))
      await new Promise<void>((resolve) => waiting.push(resolve));
    busy += 1;
    speeds.busy?.(true);
  };
  const leave = () => {
    busy -= 1;
    speeds.busy?.(busy > 0);
    waiting.shift()?.();
  };
  const counted = (body: Asked["body"]) => promptTokens(body, speeds);

  async function* stream(body: Asked["body"], nth: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { firstMs = 100, gapMs = 10, perPiece = 1 } = speeds;
    await seat();
    try {
      const tokens = outputTokens(body, speeds);
      for (let sent = 0; sent < tokens; sent += perPiece) {
        await clock.sleep(sent === 0 ? msOf(firstMs, nth) : gapMs * perPiece);
        if (signal.aborted) throw signal.reason;
        const ids = Array.from({ length: Math.min(perPiece, tokens - sent) }, () => 7);
        if (sent >= (speeds.breaksAfter?.(nth) ?? Number.POSITIVE_INFINITY)) return;
        const said = pieceOf(body, sent < (speeds.thinks ?? 0));
        yield event({ choices: [{ index: 0, ...said, ...(knowsIds && { token_ids: ids }) }] });
      }
      const last = { choices: [{ index: 0, delta: {}, text: "", finish_reason: "length" }] };
      yield event({ ...last, usage: { prompt_tokens: counted(body), completion_tokens: tokens } });
      yield Buffer.from("data: [DONE]\n\n");
    } finally {
      leave();
    }
  }

  return {
    url: "http://fake/v1",
    asked,
    async post(path, sent, signal) {
      const body = sent as Asked["body"];
      asked.push({ path, body, atMs: clock.nowMs() });
      const refused = refuses.find((field) => field in body);
      if (refused !== undefined) return whole(400, { error: { message: `${refused} is not known` } });
      if (!body.stream) {
        return whole(200, wholeAnswer(body, speeds));
      }
      const nth = streamed++;
      if (fails.includes(nth)) return whole(503, { error: { message: "out of order" } });
      return { status: 200, text: async () => "", chunks: () => stream(body, nth, signal) };
    },
  };
}

function wholeAnswer(body: Asked["body"], speeds: Speeds): object {
  const { knowsIds = true } = speeds;
  const ids =
    knowsIds && typeof body.prompt === "string" ? words(body.prompt).map((_, i) => 100 + i) : undefined;
  const usage = { prompt_tokens: promptTokens(body, speeds), completion_tokens: outputTokens(body, speeds) };
  const text = speeds.answer?.(JSON.stringify(body.prompt ?? body.messages)) ?? "x";
  const choice = {
    ...(text.startsWith("{") ? { message: JSON.parse(text) } : { text }),
    finish_reason: "length",
    ...(ids && { prompt_token_ids: [1, ...ids] }),
    ...(body.echo === true && scoresOf(body)),
  };
  return { choices: [choice], usage };
}

const pieceOf = (body: Asked["body"], isThought: boolean): object =>
  isChat(body) ? { delta: isThought ? { reasoning_content: "x" } : { content: "x" } } : { text: "x" };

/** Every token but the first is as likely as one of four. */
const scoresOf = ({ prompt }: Asked["body"]) => ({
  logprobs: { token_logprobs: words(String(prompt)).map((_, i) => (i === 0 ? null : -Math.log(4))) },
});

const msOf = (ms: number | ((nth: number) => number), nth: number): number =>
  typeof ms === "number" ? ms : ms(nth);

const event = (fields: object): Uint8Array => Buffer.from(`data: ${JSON.stringify(fields)}\n\n`);

const whole = (status: number, fields: object) => ({
  status,
  text: async () => JSON.stringify(fields),
  chunks: () => new ReadableStream<Uint8Array>({ start: (it) => it.close() }),
});

const isChat = (body: Asked["body"]): boolean => "messages" in body;
const words = (text: string): string[] => text.split(" ").filter((word) => word !== "");

function promptTokens({ prompt, messages }: Asked["body"], { template = 0, long = [] }: Speeds): number {
  if (Array.isArray(prompt)) return prompt.length;
  const text =
    typeof prompt === "string"
      ? prompt
      : (messages as { content: string }[]).map(({ content }) => content).join(" ");
  return (
    words(text).reduce((sum, word) => sum + (long.includes(word) ? 2 : 1), 0) + (messages ? template : 0)
  );
}

function outputTokens({ max_tokens, ignore_eos, min_tokens }: Asked["body"], { endsAfter }: Speeds): number {
  const most = Number(max_tokens);
  return ignore_eos || min_tokens !== undefined ? most : Math.min(most, endsAfter ?? most);
}
