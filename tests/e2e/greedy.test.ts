/** The whole product against transformers: ids recorded by tests/parity/record.py, each with the margin of its choice. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { freshFolder } from "../cli/exo.ts";
import { type Server, serving, TEST_MS_MAX } from "./product.ts";

setDefaultTimeout(TEST_MS_MAX);

interface Recorded {
  readonly question: string;
  readonly prompt: readonly number[];
  readonly ids: readonly number[];
  readonly margins: readonly number[];
}

const file = join(import.meta.dir, "..", "parity", "recorded", "smollm2.json");
const { answers }: { readonly answers: readonly Recorded[] } = await Bun.file(file).json();

/** Two tokens closer than this may change places by the order of a sum alone. */
const MARGIN_MIN = 1e-3;

const stack = new AsyncDisposableStack();
let server: Server;
beforeAll(async () => {
  const home = stack.use(freshFolder());
  server = stack.use(await serving(home.path, ["--model", "smollm2"]));
});
afterAll(() => stack.disposeAsync());

const sure = ({ ids, margins }: Recorded): readonly number[] => {
  const unsure = margins.findIndex((margin) => margin < MARGIN_MIN);
  return unsure < 0 ? ids : ids.slice(0, unsure);
};

test("there are at least ten recorded answers, each with tokens that are sure", () => {
  expect([answers.length >= 10, answers.every((each) => sure(each).length > 0)]).toEqual([true, true]);
});

test.each(answers.map((each) => [each.question, each] as const))(
  "%s is answered token by token as transformers does",
  async (_, recorded) => {
    const wanted = sure(recorded);
    const body = { model: "smollm2", prompt: recorded.prompt, temperature: 0, max_tokens: wanted.length };
    const answer = await fetch(`${server.url}/v1/completions`, {
      method: "POST",
      body: JSON.stringify({ ...body, return_token_ids: true }),
    });
    const { choices }: { readonly choices: readonly { readonly token_ids: readonly number[] }[] } =
      JSON.parse(await answer.text());
    expect(choices[0]?.token_ids).toEqual([...wanted]);
  },
);
