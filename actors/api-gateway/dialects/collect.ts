/** A whole answer from the same deltas that a stream is made of, so the two cannot disagree. */
import type { Delta, TokenLogprob } from "#protocol/generation";
import { Problem } from "#protocol/problem";
import type { ChoiceDelta, Completion, Finish, Started } from "./dialect.ts";

interface Gathering {
  readonly texts: string[];
  readonly tokens: number[];
  readonly logprobs: TokenLogprob[];
  started?: Started;
  finish?: Finish;
}

/** The completions of `count` generations, in their order. */
export async function collect(
  deltas: AsyncIterable<ChoiceDelta>,
  count: number,
): Promise<readonly Completion[]> {
  const gatherings = Array.from(
    { length: count },
    (): Gathering => ({ texts: [], tokens: [], logprobs: [] }),
  );
  for await (const { choice, delta } of deltas) {
    const gathering = gatherings[choice];
    if (gathering) add(gathering, delta);
  }
  return gatherings.map(complete);
}

function add(gathering: Gathering, delta: Delta): void {
  switch (delta.type) {
    case "started":
      gathering.started = delta;
      return;
    case "text":
      gathering.texts.push(delta.text);
      for (const token of delta.tokens) gathering.tokens.push(token);
      for (const logprob of delta.logprobs ?? []) gathering.logprobs.push(logprob);
      return;
    case "finish":
      gathering.finish = delta;
  }
}

function complete({ texts, tokens, logprobs, started, finish }: Gathering, choice: number): Completion {
  if (!(started && finish))
    throw new Problem("internal", `choice ${choice} has no ${started ? "end" : "start"}`);
  return { text: texts.join(""), tokens, logprobs, started, finish };
}
