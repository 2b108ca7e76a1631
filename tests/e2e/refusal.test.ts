/** What a user may get wrong, or find broken: one clear sentence with the remedy, and the exit code of README's table. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { freshFolder, type Ran } from "../cli/exo.ts";
import { run, serving, smollm2File, TEST_MS_MAX } from "./product.ts";
import { type Change, tinyConfig, tinyFolder, tinyWeights } from "./tiny-folder.ts";

setDefaultTimeout(TEST_MS_MAX);

const stack = new DisposableStack();
/** One home for all: nothing here leaves anything in it but the unpacked library. */
let home: string;
beforeAll(async () => {
  home = stack.use(freshFolder()).path;
  await run(["run", tinyFolder(join(home, "tiny")), "--raw", "--max-tokens", "1", "a"], { home });
});
afterAll(() => stack.dispose());

/** The failure that a user reads: exit code, what and why, what to do. Nothing goes to stdout. */
async function refused(...args: readonly string[]): Promise<readonly [number | null, string, string]> {
  const { code, out, err } = await run(args, { home });
  expect(out.slice(0, 80)).toBe("");
  const [what = "", ...remedy] = err
    .replaceAll(home, "HOME")
    .split("\n")
    .filter((line) => line !== "");
  return [code, what, remedy.join("\n")];
}

const OTHER_KERNELS = process.arch === "x64" ? "neon" : "avx2";

const says = expect.stringMatching;

test("a sound folder runs, so what is refused below is refused for its fault", async () => {
  const answered = async (prompt: string) => {
    const { code, out, err } = await run(
      ["run", "./tiny", "--raw", "--max-tokens", "3", "--temp", "0", prompt],
      {
        home,
      },
    );
    expect([code, out.length > 1, err]).toEqual([0, true, ""]);
    return out;
  };
  // Weights that are no weights would have it say the same to everything.
  const answers = [await answered("abc"), await answered("xyz"), await answered("abc")];
  expect([answers[0] === answers[2], answers[0] === answers[1]]).toEqual([true, false]);
});

test("an unknown model: the nearest is suggested", async () => {
  expect(await refused("run", "smolm2", "hi")).toEqual([
    4,
    '✗ there is no model called "smolm2"',
    says(/^→ Did you mean smollm2\?/),
  ]);
});

test("an unknown command or flag: the nearest is suggested", async () => {
  expect([await refused("srve"), await refused("run", "smollm2", "hi", "--tepm", "1")]).toEqual([
    [2, "✗ unknown command 'srve'", "→ did you mean serve?"],
    [2, "✗ unknown option '--tepm'", "→ did you mean --temp?"],
  ]);
});

test("a port in use: by whom, and how to choose another", async () => {
  using own = freshFolder();
  await using server = await serving(own.path);
  const { port } = new URL(server.url);
  expect(await refused("serve", "--port", port)).toEqual([
    3,
    `✗ port ${port} is in use by exo (process ${server.pid})`,
    says(/exo serve --port [1-9]\d+, or --port 0/),
  ]);
});

test("a missing file or folder", async () => {
  expect([await refused("run", "./nothing.gguf", "hi"), await refused("run", "./nothing", "hi")]).toEqual([
    [4, "✗ there is no file or folder HOME/nothing.gguf", says(/path/)],
    [4, "✗ there is no file or folder HOME/nothing", says(/path/)],
  ]);
});

const CUT_AT = [50_000_000, 3_000, 3] as const;

test.each(CUT_AT)("a GGUF file cut at byte %i: where it ends, and in the middle of what", async (byte) => {
  await Bun.write(join(home, "cut.gguf"), await Bun.file(smollm2File()).slice(0, byte).bytes());
  const middle = byte === 50_000_000 ? 'tensor "blk\\.\\d+\\.[a-z_.]+", which takes bytes \\d+ to \\d+' : "";
  expect(await refused("run", "./cut.gguf", "hi", "--max-tokens", "1")).toEqual([
    1,
    says(new RegExp(`^✗ HOME/cut\\.gguf ends at byte ${byte}, in the middle of ${middle}`)),
    says(/fetch it again/),
  ]);
});

test("a file that is no model", async () => {
  await Bun.write(join(home, "letter.gguf"), "Dear Sir or Madam");
  expect((await refused("run", "./letter.gguf", "hi")).slice(0, 2)).toEqual([
    1,
    '✗ HOME/letter.gguf is not a GGUF file: it starts with "Dear"',
  ]);
});

const config = (fields: object): string => JSON.stringify({ ...tinyConfig, ...fields });
const weights = tinyWeights();
const LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";

/** What is wrong with a folder, how it is made so, exit code, what is said. */
const broken: readonly (readonly [string, Change, number, RegExp])[] = [
  [
    "config without a key",
    { "config.json": config({ num_hidden_layers: undefined }) },
    1,
    /lacks 'num_hidden_layers'/,
  ],
  [
    "config without model_type",
    { "config.json": config({ model_type: undefined }) },
    1,
    /lacks 'model_type'/,
  ],
  [
    "an unsupported model_type",
    { "config.json": config({ model_type: "mamba9" }) },
    1,
    /'mamba9' is not supported\n→ supported are .*llama, mistral, mixtral, qwen2, qwen3, qwen3_moe/,
  ],
  ["config that is no JSON", { "config.json": "{" }, 1, /config\.json is not JSON/],
  ["no config", { "config.json": undefined }, 1, /neither config\.json nor one \.gguf file/],
  ["no tokenizer", { "tokenizer.json": undefined }, 4, /has no tokenizer\n→ put tokenizer\.json/],
  ["a tokenizer cut short", { "tokenizer.json": '{"model":' }, 1, /tokenizer\.json is not the JSON/],
  ["no weights", { "model.safetensors": undefined }, 4, /holds no model\*\.safetensors/],
  [
    "weights cut short",
    { "model.safetensors": weights.subarray(0, weights.length - 5_000) },
    1,
    /ends at byte \d+, in the middle of tensor "model\.layers\.0\.[a-z_.]+", which takes bytes \d+ to \d+\n→ .*fetch it again/,
  ],
  [
    "weights cut in their header",
    { "model.safetensors": weights.subarray(0, 100) },
    1,
    /ends at byte 100, in the middle of its header/,
  ],
  [
    "an index that names a missing file",
    {
      "model.safetensors": undefined,
      "model.safetensors.index.json":
        '{"weight_map":{"model.norm.weight":"model-00001-of-00002.safetensors"}}',
    },
    4,
    /names model-00001-of-00002\.safetensors .*which is missing/,
  ],
  ["no chat template", {}, 1, /has no chat template.*--raw/],
  [
    "a chat template without an end",
    { "tokenizer_config.json": JSON.stringify({ chat_template: LOOP }) },
    1,
    /template was stopped: it did not come to an end/,
  ],
];

test.each(broken)("a folder with %s", async (name, change, code, pattern) => {
  tinyFolder(join(home, name), change);
  const [exit, what, remedy] = await refused("run", `./${name}`, "hi");
  expect([exit, `${what}\n${remedy}`]).toEqual([code, says(pattern)]);
});

test("a prompt longer than the context: both numbers", async () => {
  const words = "many words ".repeat(60);
  expect((await refused("run", "smollm2", words, "--ctx", "64")).slice(0, 2)).toEqual([
    5,
    says(/maximum context length is 64 tokens, but the prompt has \d{3} tokens/),
  ]);
});

test("an answer ends where the context does", async () => {
  const args = ["run", "smollm2", "Count to one thousand.", "--ctx", "64", "--temp", "0", "--json"];
  const { promptTokens, completionTokens, finishReason } = JSON.parse((await run(args, { home })).out);
  expect([promptTokens + completionTokens, finishReason]).toEqual([64, "length"]);
});

test.each([
  ["EXO_PORT", "abc", 2, /is not a port\n→ use a number/],
  ["EXO_THREADS", "abc", 2, /is not a number of threads\n→ use a whole number from 1 to 256/],
  ["EXO_THREADS", "0", 2, /is not a number of threads/],
  ["EXO_CPU_KERNELS", "foo", 2, /is no set of kernels\n→ use one of .*portable/],
  // A name that exists, of a processor that this is not: only the library knows that.
  [
    "EXO_CPU_KERNELS",
    OTHER_KERNELS,
    1,
    /is no set of kernels that this exo has\n→ use .* or mlx, or leave it unset/,
  ],
])("%s=%s: what is right", async (name, value, exitCode, pattern) => {
  const { code, out, err } = await run(["run", "./tiny", "--raw", "hi"], { home, env: { [name]: value } });
  expect([code, out, err.replace(/^✗ \w+=\w+ /, "")]).toEqual([exitCode, "", says(pattern)]);
});

test("a failure is one JSON object with --json", async () => {
  const { code, out, err } = await run(["run", "smolm2", "hi", "--json"], { home });
  expect([code, err, JSON.parse(out)]).toEqual([
    4,
    "",
    {
      schema: "exo.error/1",
      error: { kind: "notFound", message: says(/smolm2/), remedy: says(/smollm2/), param: "model" },
      exitCode: 4,
    },
  ] satisfies readonly [number, Ran["err"], object]);
});
