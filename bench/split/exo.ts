/** exo on two machines of one core each as sides of bench/figures/split.ts: over its API, with everything that a user's answer goes through. */
import { basename } from "node:path";
import type { ModelState } from "#protocol/supervisor";
import { type Answer, requireWhole } from "../peers-side.ts";
import { type CoreHome, coreHome } from "./core-home.ts";
import type { Cut, SplitSide, Strategy } from "./side.ts";

/** All at once: the file has a name for each, as a home places a model once. The cut is of the first strategy: ranks have none. */
export async function exoSides(
  stack: AsyncDisposableStack,
  path: string,
  strategies: readonly Strategy[],
): Promise<Cut & { readonly sides: readonly SplitSide[] }> {
  const model = (strategy: string) => `${basename(path, ".gguf")}-${strategy}`;
  const files = strategies.map((strategy) => `${model(strategy)}.gguf`);
  const home = stack.use(await coreHome(2, path, files));
  for (const strategy of strategies)
    await home.ask("/exo/v1/load", { model: model(strategy), nodes: home.names, strategy });
  const { models }: { readonly models: readonly ModelState[] } = JSON.parse(
    await (await home.ask("/exo/v1/ps")).text(),
  );
  const [wanted = "pipeline"] = strategies;
  const [first, last] = models.find((each) => each.model === model(wanted))?.stages ?? [];
  if (!first || !last) throw new Error(`${path} was not placed on two machines`);
  const sides = strategies.map((strategy) => sideOf(home, strategy, model(strategy)));
  return { sides, cut: first.layers.end, layers: last.layers.end };
}

const sideOf = (home: CoreHome, setting: Strategy, model: string): SplitSide => ({
  of: "exo",
  setting,
  isSameSplit: setting === "pipeline",
  version: "",
  async run(run) {
    const answers = await Promise.all(run.prompts.map((prompt) => answered(home, model, prompt, run.output)));
    for (const each of answers) requireWhole(`exo ${setting}`, run, each);
    return answers;
  },
});

/** A token that a record brings together with others came when they did. */
async function answered(
  home: CoreHome,
  model: string,
  prompt: readonly number[],
  output: number,
): Promise<Answer> {
  const startMs = performance.now();
  const answer = await home.ask("/v1/completions", {
    model,
    prompt,
    max_tokens: output,
    temperature: 0,
    stream: true,
    ignore_eos: true,
    return_token_ids: true,
  });
  const ids: number[] = [];
  const ms: number[] = [];
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of answer.body ?? []) {
    const nowMs = performance.now() - startMs;
    const records = (text + decoder.decode(bytes, { stream: true })).split("\n\n");
    text = records.pop() ?? "";
    for (const record of records) {
      const tokens = tokensIn(record);
      ids.push(...tokens);
      ms.push(...tokens.map(() => nowMs));
    }
  }
  return { ids, ms };
}

function tokensIn(record: string): readonly number[] {
  const data = record.replace(/^data: /, "");
  if (!data.startsWith("{")) return [];
  const { choices = [] }: { readonly choices?: readonly { readonly token_ids?: readonly number[] }[] } =
    JSON.parse(data);
  return choices[0]?.token_ids ?? [];
}
