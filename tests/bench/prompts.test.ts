import { expect, test } from "bun:test";
import { benchmark, type World } from "./bench-world.ts";

const measured = ({ target }: World) => target.asked.filter(({ body }) => body.stream);
const promptsOf = (world: World) => measured(world).map(({ body }) => body.prompt as number[]);
const shared = (a: readonly number[] = [], b: readonly number[] = []) => {
  const at = a.findIndex((id, i) => id !== b[i]);
  return at < 0 ? a.length : at;
};

test("a target that takes token ids gets exactly as many, each request others", async () => {
  const world = await benchmark(
    "  - {name: s, prompt_tokens: [64, 300], output_tokens: 4, load: {type: single, requests: 2}}",
  );
  const prompts = promptsOf(world);
  expect(prompts.map(({ length }) => length).sort()).toEqual([300, 300, 64, 64]);
  expect(new Set(prompts.map((ids) => ids.slice(0, 20).join())).size).toBe(4);
  expect([world.done.target?.promptsBy, world.done.warnings]).toEqual(["token ids", []]);
});

test("elsewhere words of one token are searched by what usage counts, and lengths are exact all the same", async () => {
  const speeds = { knowsIds: false, template: 9, long: ["government", "university", "the"] };
  const world = await benchmark("  - {name: s, prompt_tokens: [64, 300], output_tokens: 4}", { speeds });
  const prompts = world.cells.flatMap(({ runs }) =>
    runs.flatMap(({ samples }) => samples.map(({ promptTokens }) => promptTokens)),
  );
  const used = measured(world).flatMap(({ body }) => JSON.stringify(body.messages).match(/[a-z]+/g));
  expect([prompts.sort(), world.done.target?.promptsBy, world.done.warnings]).toEqual([
    [300, 64],
    "words",
    [],
  ]);
  expect(["government", "university", "the"].filter((word) => used.includes(word))).toEqual([]);
});

test("answers have the length asked by the first means that the target knows, else as they end", async () => {
  const lengths = async (refuses: readonly string[]) => {
    const world = await benchmark("  - {name: s, output_tokens: 20}", { speeds: { endsAfter: 5, refuses } });
    return [world.cells[0]?.summary.outputTokens, world.done.target?.exactLengths, world.done.warnings];
  };
  expect([
    await lengths([]),
    await lengths(["ignore_eos"]),
    await lengths(["ignore_eos", "min_tokens"]),
  ]).toEqual([
    [20, "ignore_eos", []],
    [20, "min_tokens", []],
    [
      5,
      "no: answers end where the model ends them",
      ["s · m · 512×20 · 1 stream: answers are not all 20 tokens long (one has 5)"],
    ],
  ]);
});

test("a warm prefix cache means the same prompt every time", async () => {
  const world = await benchmark(
    "  - {name: s, prompt_tokens: 50, prefix_cache: warm, load: {type: single, requests: 3}}",
  );
  expect(new Set(promptsOf(world).map((ids) => ids.join())).size).toBe(1);
});

test("a filled context is sent before, unmeasured, and begins the measured prompt", async () => {
  const world = await benchmark("  - {name: s, prompt_tokens: 50, context_fill: 200, output_tokens: 4}");
  const [fill, prompt] = promptsOf(world);
  expect([fill?.length, prompt?.length, shared(fill, prompt), world.cells[0]?.summary.requests]).toEqual([
    201, 250, 200, 1,
  ]);
});

test("repeated prefixes are shared by as many requests as asked", async () => {
  const data = "{prefix_repetition: {prefixes: 2, prefix_tokens: 100}}";
  const world = await benchmark(
    `  - {name: s, prompt_tokens: 50, data: ${data}, load: {type: single, requests: 4}}`,
  );
  const [a, b, c, d] = promptsOf(world);
  expect([a?.length, shared(a, c), shared(b, d), shared(a, b) < 10]).toEqual([150, 100, 100, true]);
});

test("the turns of a conversation hold all that was said before", async () => {
  const world = await benchmark(
    "  - {name: s, prompt_tokens: 50, output_tokens: 6, data: {turns: 3, growth: 20}}",
  );
  const [one, two, three] = promptsOf(world);
  expect([one?.length, two?.length, three?.length]).toEqual([50, 76, 102]);
  expect([shared(one, two), shared(two, three), two?.slice(50, 56)]).toEqual([50, 76, [7, 7, 7, 7, 7, 7]]);
  expect(world.cells[0]?.summary.requests).toBe(3);
});

test("ShareGPT's first human turns are asked as chats, and its faults are named", async () => {
  const files = {
    "s.json": JSON.stringify([
      { conversations: [{ from: "human", value: "Why is it so?" }] },
      { conversations: [] },
    ]),
  };
  const world = await benchmark("  - {name: s, data: {sharegpt: s.json}, output_tokens: 4}", { files });
  expect(measured(world).map(({ path, body }) => [path, body.messages])).toEqual([
    ["/chat/completions", [{ role: "user", content: "Why is it so?" }]],
  ]);
  const broken = benchmark("  - {name: s, data: {trace: t.jsonl}}", {
    files: { "t.jsonl": '{"timestamp": 1}\n' },
  });
  expect(broken).rejects.toThrow("t.jsonl:1: has neither prompt_tokens nor messages");
});

test("lengths drawn from a distribution keep its bounds and do not change between benchmarks", async () => {
  const once = async () => {
    const dist = "{dist: normal, mean: 100, std: 80, min: 60, max: 130}";
    const world = await benchmark(
      `  - {name: s, prompt_tokens: ${dist}, output_tokens: 2, load: {type: single, requests: 20}}`,
    );
    return promptsOf(world).map(({ length }) => length);
  };
  const [first, second] = [await once(), await once()];
  expect(first).toEqual(second);
  expect([Math.min(...first), Math.max(...first), new Set(first).size > 5]).toEqual([60, 130, true]);
});
