import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Problem } from "#protocol/problem";
import { hubFolders } from "./hub-cache.ts";
import { resolve } from "./resolve.ts";
import { nearest } from "./resolve-nearest.ts";
import type { Places } from "./store-places.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "exo-resolve-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const put = async (...paths: readonly string[]): Promise<void> => {
  for (const path of paths) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), path.endsWith(".json") ? "{}" : "weights");
  }
};
const places = (): Places => ({
  hubFolders: [join(root, "hub"), join(root, "other")],
  modelFolders: [join(root, "models")],
  extraModelFolders: [join(root, "bundled")],
  aliases: [
    { name: "smollm2", aliases: ["smollm2-135m"], repositories: ["mlx/SmolLM2-135M-Instruct"] },
    { name: "llama-3.1-8b", aliases: [], repositories: ["mlx/Llama-3.1-8B-4bit", "meta/Llama-3.1-8B"] },
    { name: "qwen-1-8b", aliases: [], repositories: ["q/a"] },
    { name: "qwen-18b", aliases: [], repositories: ["q/b"] },
  ],
  cwd: root,
  home: join(root, "home"),
});
/** What a name means, as one line: where it is, or what was wrong with it. */
const meaning = async (name: string): Promise<string> => {
  try {
    const found = await resolve(name, places());
    const where =
      found.type === "local"
        ? found.path.replace(root, "")
        : [...found.repositories, found.revision, found.file].filter(Boolean).join(" ");
    return `${found.name} ${found.type} ${where}`;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return `${error.kind}: ${error.message.replaceAll(root, "")}${error.remedy?.startsWith("Did") ? ` (${error.remedy.split("?")[0]})` : ""}`;
  }
};
const meanings = async (...names: readonly string[]) =>
  Object.fromEntries(await Promise.all(names.map(async (name) => [name, await meaning(name)])));

test("paths name what is there, or say what is wrong with it", async () => {
  await put(
    "a/config.json",
    "b/x.gguf",
    "c/notes.txt",
    "home/m/config.json",
    "x.gguf",
    "org/local/config.json",
  );
  expect(
    await meanings(
      "./a",
      "a",
      "./b",
      "./c",
      "~/m",
      "x.gguf",
      "./x.gguf",
      "./none",
      "no.gguf",
      "./c/notes.txt",
      "org/local",
    ),
  ).toEqual({
    "./a": "a local /a",
    a: "a local /a",
    "./b": "b local /b/x.gguf",
    "./c": "invalid: /c is a folder with neither config.json nor one .gguf file",
    "~/m": "m local /home/m",
    "x.gguf": "x local /x.gguf",
    "./x.gguf": "x local /x.gguf",
    "./none": "notFound: there is no file or folder /none",
    "no.gguf": "notFound: there is no file or folder /no.gguf",
    "./c/notes.txt": "invalid: /c/notes.txt is a file, but not a .gguf file",
    "org/local": "local local /org/local",
  });
});

test("aliases match exactly, in any case, without :latest and without regard to separators", async () => {
  const remote = "llama-3.1-8b remote mlx/Llama-3.1-8B-4bit meta/Llama-3.1-8B";
  expect(
    await meanings(
      "llama-3.1-8b",
      "Llama-3.1-8B",
      "llama-3.1-8b:latest",
      "llama3.1:8b",
      "smollm2-135m",
      "qwen18b",
    ),
  ).toEqual({
    "llama-3.1-8b": remote,
    "Llama-3.1-8B": remote,
    "llama-3.1-8b:latest": remote,
    "llama3.1:8b": remote,
    "smollm2-135m": "smollm2 remote mlx/SmolLM2-135M-Instruct",
    qwen18b: "invalid: qwen18b may mean qwen-1-8b or qwen-18b",
  });
});

test("repositories are named with revision and file, and by their page's address", async () => {
  expect(
    await meanings(
      "o/n",
      "o/n@v1",
      "o/n:x.gguf",
      "o/n@v1:Q4_K_M",
      "https://huggingface.co/o/n",
      "hf.co/o/n:q8_0",
    ),
  ).toEqual({
    "o/n": "o/n remote o/n",
    "o/n@v1": "o/n remote o/n v1",
    "o/n:x.gguf": "o/n:x.gguf remote o/n x.gguf",
    "o/n@v1:Q4_K_M": "o/n:Q4_K_M remote o/n v1 Q4_K_M",
    "https://huggingface.co/o/n": "o/n remote o/n",
    "hf.co/o/n:q8_0": "o/n:q8_0 remote o/n q8_0",
  });
});

test("what is here is found: bundled, own folders, any cache, and by the last part of a repository", async () => {
  await put(
    "bundled/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "models/mine/config.json",
    "models/mine/model.safetensors",
    "other/models--meta--Llama-3.1-8B/snapshots/abc/config.json",
    "other/models--meta--Llama-3.1-8B/snapshots/abc/model.safetensors",
    "hub/models--some--Thing/snapshots/abc/thing-Q8_0.gguf",
    "hub/models--half--done/snapshots/abc/config.json",
    "hub/models--half--done/snapshots/abc/model-00001-of-00002.safetensors",
  );
  expect(
    await meanings(
      "smollm2",
      "mine",
      "llama-3.1-8b",
      "thing",
      "some/Thing:q8_0",
      "half/done",
      "some/Thing@v2",
      "some/Thing@abc",
    ),
  ).toEqual({
    smollm2: "smollm2 local /bundled/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    mine: "mine local /models/mine",
    "llama-3.1-8b": "llama-3.1-8b local /other/models--meta--Llama-3.1-8B/snapshots/abc",
    thing: "some/Thing local /hub/models--some--Thing/snapshots/abc/thing-Q8_0.gguf",
    "some/Thing:q8_0": "some/Thing:q8_0 local /hub/models--some--Thing/snapshots/abc/thing-Q8_0.gguf",
    "half/done": "half/done remote half/done",
    "some/Thing@v2": "some/Thing remote some/Thing v2",
    "some/Thing@abc": "some/Thing local /hub/models--some--Thing/snapshots/abc/thing-Q8_0.gguf",
  });
});

test("a name that two stored models share is ambiguous, and an unknown one gets the nearest", async () => {
  await put("hub/models--a--twin/snapshots/1/x.gguf", "hub/models--b--twin/snapshots/1/x.gguf");
  expect(await meanings("twin", "smolm2", "llama", "zzzzzz", "")).toEqual({
    twin: "invalid: twin may mean a/twin or b/twin",
    smolm2: 'notFound: there is no model called "smolm2" (Did you mean smollm2)',
    llama: 'notFound: there is no model called "llama" (Did you mean llama-3.1-8b)',
    zzzzzz: 'notFound: there is no model called "zzzzzz"',
    "": "invalid: no model was named",
  });
  const hostile = ["a\0b", "x".repeat(300), "y/".repeat(3000)];
  const refused = "notFound: that is no model's name: no path is that long, nor holds a NUL";
  expect(Object.values(await meanings(...hostile))).toEqual(hostile.map(() => refused));
});

test("the nearest name is the one with the fewest slips, if any is near", () => {
  const known = ["mistral-7b", "mixtral-8x7b", "qwen3-8b"];
  expect(["mistral7b", "mixtral-8x7", "qwen3-9b", "gpt-5"].map((name) => nearest(name, known))).toEqual([
    "mistral-7b",
    "mixtral-8x7b",
    "qwen3-8b",
    undefined,
  ]);
});

test("the cache that is set or already there is shared, else exo has its own", async () => {
  await put("cache/huggingface/hub/x");
  const own = join(root, "exo", "models", "hub");
  const given = { userCache: join(root, "cache"), exoHome: join(root, "exo") };
  expect([
    hubFolders({ ...given, hfHubCache: "/c", hfHome: "/h" }),
    hubFolders({ ...given, hfHome: "/h" }),
    hubFolders(given),
    hubFolders({ ...given, userCache: join(root, "none") }),
  ]).toEqual([
    ["/c", own],
    [join("/h", "hub"), own],
    [join(root, "cache", "huggingface", "hub"), own],
    [own, join(root, "none", "huggingface", "hub")],
  ]);
});
