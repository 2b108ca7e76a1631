import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { publish } from "./hub-cache.ts";
import { list, quantisationOf, remove } from "./store.ts";
import type { Places } from "./store-places.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "exo-store-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const put = async (path: string, text = "weights"): Promise<void> => {
  const full = join(root, path);
  await mkdir(dirname(full), { recursive: true });
  await writeFile(full, text);
  await utimes(full, 1_700_000_000, 1_700_000_000);
};
const link = async (path: string, blob: string): Promise<void> => {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await symlink(`../../blobs/${blob}`, join(root, path));
};
const places = (): Places => ({
  hubFolders: [join(root, "hub")],
  modelFolders: [join(root, "models")],
  extraModelFolders: [join(root, "bundled")],
  aliases: [{ name: "tiny", aliases: [], repositories: ["mlx/tiny-4bit"] }],
  cwd: root,
  home: root,
});
const paths = async (): Promise<readonly string[]> =>
  (await readdir(join(root, "hub"), { recursive: true, withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 5))
    .sort();

test("models are listed with what is known of them, and the incomplete are not", async () => {
  const hub = "hub/models--mlx--tiny-4bit";
  await put(`${hub}/blobs/aa`, '{"model_type":"llama","quantization":{"bits":4,"group_size":64}}');
  await put(`${hub}/blobs/bb`, "1234567890");
  await link(`${hub}/snapshots/c1/config.json`, "aa");
  await link(`${hub}/snapshots/c1/model.safetensors`, "bb");
  await put("hub/models--o--g/snapshots/c1/g-Q4_K_M.gguf");
  await put("hub/models--o--g/snapshots/c1/g-F16.gguf");
  await put("hub/models--o--half/snapshots/c1/config.json", "{}");
  await put("models/one.gguf");
  await put("bundled/smollm2/SmolLM2.Q4_1.gguf");
  const seen = (await list(places())).map(({ path, ...model }) => ({
    ...model,
    path: path.slice(root.length + 1),
  }));
  const common = { format: "gguf", bytes: 7, modifiedSeconds: 1_700_000_000, removable: true } as const;
  const g = { ...common, repository: "o/g" };
  expect(seen).toEqual([
    { ...g, name: "o/g:g-F16.gguf", quantisation: "F16", path: "hub/models--o--g/snapshots/c1/g-F16.gguf" },
    {
      ...g,
      name: "o/g:g-Q4_K_M.gguf",
      quantisation: "Q4_K_M",
      path: "hub/models--o--g/snapshots/c1/g-Q4_K_M.gguf",
    },
    { ...common, name: "one", quantisation: "GGUF", path: "models/one.gguf" },
    {
      ...common,
      name: "smollm2",
      quantisation: "Q4_1",
      removable: false,
      path: "bundled/smollm2/SmolLM2.Q4_1.gguf",
    },
    {
      ...common,
      name: "tiny",
      repository: "mlx/tiny-4bit",
      architecture: "llama",
      quantisation: "4-bit, group 64",
      format: "safetensors",
      bytes: 74,
      path: "hub/models--mlx--tiny-4bit/snapshots/c1",
    },
  ]);
});

test("removing one GGUF file keeps the blobs that another needs", async () => {
  const hub = "hub/models--o--g";
  for (const [name, blob] of [
    ["g-Q4_0.gguf", "aa"],
    ["g-Q8_0.gguf", "bb"],
  ] as const) {
    await put(`${hub}/blobs/${blob}`);
    await link(`${hub}/snapshots/c1/${name}`, blob);
  }
  const [first, second] = await list(places());
  if (first) await remove(first, places());
  const between = await paths();
  if (second) await remove(second, places());
  expect([between, await paths()]).toEqual([
    ["models--o--g/blobs/bb", "models--o--g/snapshots/c1/g-Q8_0.gguf"],
    [],
  ]);
});

test("what the source build fetched is not deleted, and what is in the model folder is", async () => {
  await put("bundled/smollm2/x.gguf");
  await put("models/mine/config.json", "{}");
  await put("models/mine/model.safetensors");
  const said = [];
  for (const model of await list(places())) said.push(await remove(model, places()).catch(String));
  expect([said, (await list(places())).map(({ name }) => name)]).toEqual([
    [undefined, `Problem: smollm2 is part of the source build at ${join(root, "bundled/smollm2/x.gguf")}`],
    ["smollm2"],
  ]);
});

test("quantisation is read as each tool writes it", () => {
  expect(
    [
      { quantization: { bits: 4, group_size: 64, mode: "affine" } },
      { quantization: { bits: 4, group_size: 32, mode: "mxfp4" } },
      { quantization_config: { quant_method: "fp8" } },
      { torch_dtype: "bfloat16" },
      { text_config: { dtype: "float16" } },
      {},
    ].map(quantisationOf),
  ).toEqual(["4-bit, group 64", "mxfp4, group 32", "fp8", "bfloat16", "float16", "unknown"]);
});

test("a disk without links holds the files themselves", async () => {
  const folder = join(root, "hub", "models--o--g");
  const file = (path: string, hex: string) => ({ path, bytes: 7, hash: { type: "sha256", hex } as const });
  await put("hub/models--o--g/blobs/aa");
  const noLinks = () => Promise.reject(Object.assign(new Error("no links here"), { code: "EPERM" }));
  const files = [file("config.json", "aa"), file("model.safetensors", "aa")];
  await publish(folder, { commit: "c1", revision: "main", files }, noLinks);
  expect([await paths(), (await list(places())).map(({ name }) => name)]).toEqual([
    [
      "models--o--g/refs/main",
      "models--o--g/snapshots/c1/config.json",
      "models--o--g/snapshots/c1/model.safetensors",
    ],
    ["o/g"],
  ]);
});
