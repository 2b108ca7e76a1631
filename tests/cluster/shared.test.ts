/** A model of which ranks share one stage of a pipeline, as processes of one home: what its user sees, also when some are killed. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { ModelState } from "#protocol/supervisor";
import { until } from "../node/crashes.ts";
import { exactModel, LAYERS } from "./exact-model.ts";
import { expectIn, homeOf, type Member } from "./home-of.ts";
import { streamed } from "./streams.ts";

setDefaultTimeout(240_000);

const STORY = { model: "exact", max_tokens: 240 };
const NOTHING = () => {};

/** Parts of the model, in the order of its layers. */
async function parts(at: Member) {
  const { models }: { models: readonly ModelState[] } = JSON.parse((await at.exo("ps", "--json")).out);
  return models.flatMap(({ stages = [] }) => stages);
}

test("two ranks that share a stage and who has the other say what one machine says, also when a rank is killed", async () => {
  await using home = await homeOf("ada", "bob", "cyd");
  const [ada, ...others] = home.all;
  for (const { folder } of home.all) exactModel(folder);
  const { text: whole } = await streamed(ada.url, NOTHING, STORY);
  await ada.exo("stop", "exact");
  const mixed = ["--nodes", "ada,bob,cyd", "--strategy", "mixed"];
  const asked = await ada.exo("run", "exact", ...mixed, "--max-tokens", "1", "Hello.");
  const shown = await ada.exo("ps");
  // The first machine alone votes at first.
  const ranks = (await parts(ada)).filter(({ rank }) => rank !== undefined);
  const victim = ranks.map(({ name }) => others.find((each) => each.name === name)).find((each) => each);
  const kill = (count: number) => void (count === 9 && victim?.kill("SIGKILL"));
  const { text, problem } = await streamed(ada.url, kill, STORY);
  // A reader that was slow may have killed it after the last token.
  const now = await until(
    () => parts(ada),
    (all) => all.length > 0 && !all.some(({ name }) => name === victim?.name),
  );
  expectIn(
    home.all,
    {
      asked: [asked.code, asked.err, shown.out],
      said: [problem, whole.length > 100, text === whole || { text, whole }],
      layers: now.at(-1)?.layers.end,
    },
    {
      asked: [0, "", expect.stringMatching(/part 1\/2 \| \w+ .* part 2\/2 by ring/)],
      said: ["", true, true],
      layers: LAYERS,
    },
  );
});
