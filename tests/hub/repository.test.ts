import { afterEach, expect, test } from "bun:test";
import { content, type TestRepository } from "./test-hub.ts";
import { type World, world } from "./world.ts";

let here: World | undefined;
const start = async (repositories: Record<string, TestRepository>): Promise<World> => {
  here = await world(repositories);
  return here;
};
afterEach(async () => {
  await here?.close();
  here = undefined;
});

const gguf = (...names: string[]): TestRepository => ({
  files: Object.fromEntries(names.map((name, i) => [name, content(100, i + 1)])),
});
const index = (...files: string[]) =>
  JSON.stringify({ weight_map: Object.fromEntries(files.map((file, i) => [`t${i}`, file])) });
const last = (path: string) => path.split("/").at(-1) ?? "";
const got = ({ hub }: World) =>
  hub.seen
    .filter(({ at }) => at === "store")
    .map(({ path }) => last(path))
    .sort();

test("a GGUF file is chosen by name, by quantisation, or as the usual one", async () => {
  const now = await start({ "org/g": gguf("g-Q8_0.gguf", "g-Q4_K_M.gguf", "g-F16.gguf", "mmproj-F16.gguf") });
  const names = ["org/g", "org/g:g-F16.gguf", "org/g:q8_0", "org/g:latest"];
  const chosen = [];
  for (const name of names) chosen.push(last(await now.pull(name)));
  expect([chosen, got(now)]).toEqual([
    ["g-Q4_K_M.gguf", "g-F16.gguf", "g-Q8_0.gguf", "g-Q4_K_M.gguf"],
    ["g-F16.gguf", "g-Q4_K_M.gguf", "g-Q8_0.gguf"],
  ]);
});

test("all parts of a GGUF are fetched and the first is what loads", async () => {
  const now = await start({
    "org/g": gguf("g-Q4_0-00001-of-00002.gguf", "g-Q4_0-00002-of-00002.gguf", "x.gguf"),
  });
  expect([last(await now.pull("org/g:Q4_0")), got(now)]).toEqual([
    "g-Q4_0-00001-of-00002.gguf",
    ["g-Q4_0-00001-of-00002.gguf", "g-Q4_0-00002-of-00002.gguf"],
  ]);
});

test("what a repository lacks is said", async () => {
  const now = await start({
    "org/none": { files: { "config.json": "{}", "pytorch_model.bin": "x" } },
    "org/many": gguf("one.gguf", "two.gguf"),
    "org/index": {
      files: {
        "config.json": "{}",
        "model.safetensors.index.json": index("model-1.safetensors", "gone.safetensors"),
        "model-1.safetensors": "x",
      },
    },
  });
  expect(
    await Promise.all(["org/none", "org/many", "org/many:q9", "org/index"].map((name) => now.refusal(name))),
  ).toEqual([
    "invalid: org/none has neither safetensors nor GGUF weights | Look for a conversion of it, for example at mlx-community.",
    "invalid: org/many has several GGUF files and none was named | Name one: org/many:one.gguf. There are one.gguf, two.gguf.",
    "notFound: org/many has no GGUF file q9 | It has: one.gguf, two.gguf.",
    'invalid: model.safetensors.index.json of org/index names "gone.safetensors", which the repository does not have | Tell the repository\'s owner, or choose another conversion of the model.',
  ]);
});

test("with an index only the files that it names are fetched", async () => {
  const now = await start({
    "org/index": {
      files: {
        "config.json": "{}",
        "model.safetensors.index.json": index("model-1.safetensors", "model-2.safetensors"),
        "model-1.safetensors": "1",
        "model-2.safetensors": "2",
        "consolidated.safetensors": "3",
        "other.safetensors": "4",
      },
    },
  });
  await now.pull("org/index");
  expect(got(now)).toEqual(["model-1.safetensors", "model-2.safetensors"]);
});

test("a file name that would leave the folder is refused", async () => {
  const names = [
    "../../evil.gguf",
    "/etc/evil.gguf",
    "a\\b.gguf",
    "C:evil.gguf",
    "x/../../evil.gguf",
    "a\u0000.gguf",
  ];
  const said = [];
  for (const rfilename of names) {
    const { refusal, close } = await world({
      "org/evil": { files: {}, siblings: [{ rfilename, size: 1, blobId: "a".repeat(40) }] },
    });
    said.push((await refusal("org/evil")).split(" |")[0]);
    await close();
  }
  expect(said).toEqual(
    names.map(
      (name) =>
        `invalid: the repository lists a file named ${JSON.stringify(name)}, which is not a safe path`,
    ),
  );
});

test("a description that is too large, too long or not one is refused", async () => {
  const { refusal, hub } = await start({
    "org/long": { files: {}, siblings: Array.from({ length: 20_001 }, (_, i) => ({ rfilename: `f${i}` })) },
    "org/large": {
      files: {},
      siblings: Array.from({ length: 17_000 }, () => ({ rfilename: "x".repeat(1000) })),
    },
    "org/commit": { files: {}, commit: "../../../etc" },
    "org/name": { files: {}, siblings: [{ rfilename: 7 }] },
  });
  const host = new URL(hub.url).host;
  const said = await Promise.all(["long", "large", "commit", "name"].map((name) => refusal(`org/${name}`)));
  hub.troubles.set("api", [{ redirect: "file:///etc/passwd" }]);
  said.push(await refusal("org/long"));
  hub.troubles.set(
    "api",
    Array.from({ length: 9 }, () => ({ redirect: "/api/models/org/long/revision/main" })),
  );
  said.push(await refusal("org/long"));
  expect(said.map((line) => line.split(" |")[0])).toEqual([
    "tooLarge: org/long lists 20001 files; a model has at most 20000",
    "tooLarge: the hub's description of the repository is larger than 16777216 bytes",
    "network: the hub's description of org/commit is not understood at /sha: Expected string to match '^[0-9a-f]{40}$'",
    "network: the hub's description of org/name is not understood at /siblings/0/rfilename: Expected string",
    `network: ${host} redirects to "file:///etc/passwd", which is not safe`,
    `network: ${hub.url}/api/models/org/long/revision/main?blobs=true redirects more than 5 times`,
  ]);
});

test("names that are no repository's are refused without asking", async () => {
  const { refusal, hub } = await start({});
  const names = ["a/..", "../..", "a--b/c", "o/n@../../x", "o/n:../x.gguf", "o/-n"];
  const kinds = [];
  for (const name of names) kinds.push((await refusal(name)).split(":")[0]);
  expect([kinds, hub.seen]).toEqual([["invalid", "invalid", "invalid", "invalid", "invalid", "invalid"], []]);
});
