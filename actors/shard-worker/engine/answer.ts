/** What the client sees of the tokens: text in whole characters, where it stops, and why. */
import type { Delta, FinishReason, Generation, Resume, TokenLogprob, TokenScore } from "#protocol/generation";
import { Problem } from "#protocol/problem";
import type { Score, ScoredToken } from "../sampling/scores.ts";
import type { TextPort } from "./text-port.ts";

export type TextDelta = Extract<Delta, { type: "text" }>;

export interface Ending {
  readonly reason: FinishReason;
  /** The stop string that ended it. */
  readonly stop?: string;
}

interface Piece {
  readonly text: string;
  readonly ending?: Ending;
}

export class Answer {
  /** Tokens generated, an end token included. */
  count = 0;
  readonly #text: TextPort;
  readonly #detokenizer: ReturnType<TextPort["detokenizer"]>;
  readonly #stops: ReturnType<TextPort["stops"]>;
  readonly #ends: ReadonlySet<number>;
  readonly #minTokens: number;
  readonly #maxTokens: number;
  /** Text of resumed tokens that the client does not have. */
  #owed = "";

  constructor(text: TextPort, generation: Generation, maxTokens: number) {
    const { ignoreEos = false, stopTokens = [], minTokens = 0, stop } = generation;
    this.#text = text;
    this.#detokenizer = text.detokenizer();
    this.#stops = text.stops(stop);
    this.#ends = new Set([...(ignoreEos ? [] : text.endTokens), ...stopTokens]);
    this.#minTokens = minTokens;
    this.#maxTokens = maxTokens;
  }

  /** Tokens that may not be chosen next: the ends, while there are fewer tokens than asked for. */
  get banned(): Iterable<number> {
    return this.count < this.#minTokens ? this.#ends : [];
  }

  /** Whether another token may follow. */
  get full(): boolean {
    return this.count >= this.#maxTokens;
  }

  /**
   * Takes over an answer that began elsewhere: what is held back of characters and stop strings is as if it had begun here.
   * The ending if it is complete. Throws Problem where the tokens do not make what was delivered of them.
   */
  resume({ tokens, textLength }: Resume): Ending | undefined {
    let said = "";
    let ending: Ending | undefined;
    for (const id of tokens) {
      if (ending) throw unlike(`the answer ends before token ${this.count + 1} of ${tokens.length}`);
      const step = this.take(id, undefined);
      said += step.delta.text;
      ending = step.ending;
    }
    if (said.length < textLength)
      throw unlike(`the tokens make ${said.length} characters, and ${textLength} were delivered`);
    this.#owed = said.slice(textLength);
    return ending;
  }

  /** What the client is owed though no token is to follow. */
  get owed(): TextDelta | undefined {
    return this.#owed === "" ? undefined : { type: "text", text: this.#owed, tokens: [], index: this.count };
  }

  /**
   * The delta that this token makes, and the ending if it is the last. An end token has no text and no score, but its
   * id is told.
   */
  take(id: number, score: ScoredToken | undefined): { readonly delta: TextDelta; readonly ending?: Ending } {
    const index = this.count++;
    const isEnd = this.#ends.has(id);
    const { text: fresh, ending } = isEnd ? this.#last({ reason: "stop" }) : this.#piece(id);
    const logprobs = score && { logprobs: isEnd ? [] : [tokenLogprob(this.#text, score)] };
    const text = this.#owed + fresh;
    this.#owed = "";
    return { delta: { type: "text", text, tokens: [id], index, ...logprobs }, ...(ending && { ending }) };
  }

  #piece(id: number): Piece {
    const fresh = this.#detokenizer.push(id);
    const { text, stopped } = this.count < this.#minTokens ? { text: fresh } : this.#stops.push(fresh);
    if (stopped !== undefined) return { text, ending: { reason: "stop", stop: stopped } };
    if (!this.full) return { text };
    const { text: rest, ending } = this.#last({ reason: "length" });
    return { text: text + rest, ...(ending && { ending }) };
  }

  /** What was held back, which may still complete a stop string. */
  #last(ending: Ending): Piece {
    const { text, stopped } = this.#stops.push(this.#detokenizer.flush());
    if (stopped !== undefined) return { text, ending: { reason: "stop", stop: stopped } };
    return { text: text + this.#stops.flush(), ending };
  }
}

const unlike = (why: string): Problem =>
  new Problem("invalid", `the answer cannot go on here: ${why}`, {
    param: "resume",
    remedy: "send the request again; the machines may have different versions of the model",
  });

/** A scored token with its own text and bytes, and those of its rivals. */
export function tokenLogprob(text: TextPort, { id, logprob, top }: ScoredToken): TokenLogprob {
  const scored = (score: Score): TokenScore => {
    const token = text.tokenText(score.id);
    return { id: score.id, text: token.text, bytes: [...token.bytes], logprob: score.logprob };
  };
  return { ...scored({ id, logprob }), top: top.map(scored) };
}
