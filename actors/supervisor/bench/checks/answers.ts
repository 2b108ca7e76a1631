/** Questions whose right answer is one word: a model that was damaged loses some of them. */
import { askWhole } from "../asking.ts";
import type { Checked, CheckPorts } from "../checks.ts";
import { textIn } from "../dialects/dialect.ts";
import { jsonLines, wrongLine } from "../json-lines.ts";

interface Fact {
  readonly prompt: string;
  /** Stands somewhere in a right answer; letters' case does not matter. */
  readonly expect: string;
}

/** Begun sentences, which a base model ends as well as one that was taught to chat. */
const BUILTIN: readonly Fact[] = [
  ["The capital of France is", "Paris"],
  ["The capital of Japan is", "Tokyo"],
  ["The capital of Italy is the city of", "Rome"],
  ["The first president of the United States was George", "Washington"],
  ["The chemical symbol of water is", "H2O"],
  ["The opposite of hot is", "cold"],
  ["Monday, Tuesday, Wednesday, Thursday,", "Friday"],
  ["one, two, three, four, five, six,", "seven"],
  ["The planet we live on is called", "Earth"],
  ["The author of Romeo and Juliet is William", "Shakespeare"],
  ["A baby dog is called a", "puppy"],
  ["2 + 2 =", "4"],
].map(([prompt = "", expect = ""]) => ({ prompt, expect }));

/** Throws Problem with the line that is wrong. */
export const factsOf = (source: string, read: (path: string) => string): readonly Fact[] =>
  source === "builtin" ? BUILTIN : jsonLines(read(source), source).map(factIn(source));

/** Enough for the word and what a chat says around it. */
const ANSWER_TOKENS = 24;

export async function rightAnswers(source: string, ports: CheckPorts): Promise<Checked> {
  const facts = factsOf(source, ports.read);
  const wrong: string[] = [];
  for (const { prompt, expect } of facts) {
    const answer = await answerTo(prompt, ports);
    if (!answer.toLowerCase().includes(expect.toLowerCase())) wrong.push(prompt);
  }
  return { value: 1 - wrong.length / facts.length, count: facts.length, ...(wrong.length > 0 && { wrong }) };
}

async function answerTo(text: string, { ask, abilities, model }: CheckPorts): Promise<string> {
  const { dialect } = abilities;
  const question = {
    model,
    prompt: { type: "text", text },
    outputTokens: ANSWER_TOKENS,
    temperature: 0,
    stream: false,
    exact: false,
  } as const;
  const body = dialect.body(question, { lengthens: "no", tokenIds: false });
  const { status, json } = await askWhole(ask, dialect.path, body);
  return status < 400 ? (dialect.heard(json).answer ?? "") : "";
}

const factIn =
  (path: string) =>
  ({ line, value }: { line: number; value: Readonly<Record<string, unknown>> }): Fact => {
    const [prompt, expect] = [textIn(value.prompt), textIn(value.expect)];
    if (prompt === undefined || expect === undefined)
      throw wrongLine(path, line, "needs prompt and expect, both text");
    return { prompt, expect };
  };
