/** One public API as the benchmark speaks it: what a question looks like, and what the pieces of an answer say. */
import type { Api } from "../bench-config.ts";
import type { Question } from "../question.ts";

export interface Dialect {
  readonly api: Api;
  /** Below the URL of the API. */
  readonly path: string;
  /** Server-sent events, or one JSON text a line. */
  readonly framing: Framing;
  /** How its answers can be made as long as asked, best first; empty where there is no way. */
  readonly lengthens: readonly Lengthening[];
  /** Fewer tokens of answer are refused. */
  readonly leastTokens: number;
  body(question: Question, how: Asking): object;
  /** Of one event of a stream, or of a whole answer. Throws nothing: what it does not know says nothing. */
  heard(event: unknown): Heard;
}

export type Framing = "events" | "lines";
export type Lengthening = "ignore_eos" | "min_tokens";

/** What the target has been found to understand. */
export interface Asking {
  readonly lengthens: Lengthening | "no";
  /** Pieces are to tell the ids of their tokens. */
  readonly tokenIds: boolean;
}

/** What is absent was not said. */
export interface Heard {
  readonly answer?: string;
  readonly reasoning?: string;
  /** The tokens of this piece. */
  readonly ids?: readonly number[];
  /** The tokens of the prompt. */
  readonly promptIds?: readonly number[];
  readonly finish?: string;
  readonly promptTokens?: number;
  readonly cachedTokens?: number;
  readonly outputTokens?: number;
  readonly queueMs?: number;
  readonly error?: string;
  /** The API's own mark of a whole answer. */
  readonly ended?: true;
}

/** JSON of a stranger: any field may be missing or of another type. */
export type Json = Readonly<Record<string, unknown>>;

export const objectIn = (value: unknown): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
export const listIn = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const textIn = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;
/** A count, or a time: below 0, or beyond what sums stay exact for, it says nothing. */
export const numberIn = (value: unknown): number | undefined =>
  typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : undefined;
export const idsIn = (value: unknown): readonly number[] | undefined =>
  Array.isArray(value) && value.every((each) => Number.isInteger(each)) ? value : undefined;

type Said<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };
/** Without the fields that are undefined. */
export const said = <T extends object>(fields: T): Said<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Said<T>;

/** The sentence of an error body, whatever shape the server gives it. */
export function reasonOf(text: string, status?: number): string {
  const said = messageIn(text) ?? text.trim();
  const cut = said.length > REASON_CHARS_MAX ? `${said.slice(0, REASON_CHARS_MAX)}…` : said;
  return status === undefined ? cut : `HTTP ${status}: ${cut || "no reason given"}`;
}

const REASON_CHARS_MAX = 300;

function messageIn(text: string): string | undefined {
  try {
    const { error, message, detail } = objectIn(JSON.parse(text));
    const said = objectIn(error).message ?? error ?? message ?? detail;
    return said === undefined ? undefined : typeof said === "string" ? said : JSON.stringify(said);
  } catch {
    return undefined; // not JSON: the text itself is the reason.
  }
}
