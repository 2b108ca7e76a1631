import { afterEach, expect, test } from "bun:test";
import { mkdir, readFile, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { STALL_MS } from "#actors/shard-worker/weights/hub-request";
import type { PullEvent } from "#actors/shard-worker/weights/pull";
import { list } from "#actors/shard-worker/weights/store";
import { verify } from "#actors/shard-worker/weights/store-verify";
import { content, gitSha1, sha256, type TestRepository } from "./test-hub.ts";
import { hasty, tree, type World, world } from "./world.ts";

const weights = content(200_000);
const config = JSON.stringify({ model_type: "llama" });
const tiny: TestRepository = {
  files: {
    "README.md": "# hello",
    "config.json": config,
    "tokenizer.json": "{}",
    "model.safetensors": weights,
    "pytorch_model.bin": content(10),
    "onnx/model.onnx": content(10),
    "original/consolidated.safetensors": content(10),
  },
};
const text = (value: string) => new TextEncoder().encode(value);
const commit = "c".repeat(40);

let here: World | undefined;
const start = async (repositories: Record<string, TestRepository>): Promise<World> => {
  here = await world(repositories);
  return here;
};
afterEach(async () => {
  await here?.close();
  here = undefined;
});

test("a pull fetches what the model needs, and no more, into Hugging Face's layout", async () => {
  const { pull, hubFolder, root } = await start({ "mlx/tiny-4bit": tiny });
  const path = await pull("tiny");
  const { ".locks/models--mlx--tiny-4bit/exo.lock": _lock, ...files } = await tree(hubFolder);
  const folder = "models--mlx--tiny-4bit";
  expect({ path: path.slice(root.length), files }).toEqual({
    path: `/hub/${folder}/snapshots/${commit}`,
    files: {
      [`${folder}/blobs/${gitSha1(text(config))}`]: config,
      [`${folder}/blobs/${gitSha1(text("{}"))}`]: "{}",
      [`${folder}/blobs/${sha256(weights)}`]: Buffer.from(weights).toString("latin1"),
      [`${folder}/refs/main`]: commit,
      [`${folder}/snapshots/${commit}/config.json`]: `-> ../../blobs/${gitSha1(text(config))}`,
      [`${folder}/snapshots/${commit}/tokenizer.json`]: `-> ../../blobs/${gitSha1(text("{}"))}`,
      [`${folder}/snapshots/${commit}/model.safetensors`]: `-> ../../blobs/${sha256(weights)}`,
    },
  });
});

test("a second pull asks nothing of the hub", async () => {
  const { pull, hub } = await start({ "mlx/tiny-4bit": tiny });
  const first = await pull("tiny");
  hub.seen.length = 0;
  expect([await pull("tiny"), await pull("mlx/tiny-4bit"), hub.seen]).toEqual([first, first, []]);
});

test("the token goes to the hub and not to the store that it redirects to", async () => {
  const { pull, hub } = await start({ "mlx/tiny-4bit": { ...tiny, gated: "token" } });
  await pull("tiny", { hub: { endpoint: `${hub.url}/`, token: "hf_good", offline: false } });
  const to = (at: string) => [
    ...new Set(hub.seen.filter((seen) => seen.at === at).map((seen) => seen.authorization)),
  ];
  expect({ hub: to("hub"), store: to("store") }).toEqual({ hub: ["Bearer hf_good"], store: [undefined] });
});

/** Options of a pull whose connection breaks each time it has come to one of these bytes. */
const cutAt = ({ hub, options }: World, ...bytes: readonly number[]) => ({
  ports: { ...options.ports, clock: hasty(options.ports.clock) },
  onProgress: (event: PullEvent) => {
    if (event.type === "progress" && bytes.includes(event.completed)) hub.cut();
  },
});

test("a connection that is cut goes on at the byte where it stopped", async () => {
  const now = await start({ "mlx/tiny-4bit": tiny });
  now.hub.troubles.set("model.safetensors", [{ silentAt: 50_000 }, { silentAt: 70_000 }]);
  const path = await now.pull("tiny", cutAt(now, 50_000, 120_000));
  const ranges = now.hub.seen.filter(({ at }) => at === "store").map(({ range }) => range);
  const got = await readFile(join(path, "model.safetensors"));
  expect({ ranges, same: got.equals(weights), waits: now.waits }).toEqual({
    ranges: [undefined, "bytes=50000-", "bytes=120000-"],
    same: true,
    waits: [500, 1000],
  });
});

test("a server without ranges is begun anew", async () => {
  const now = await start({ "mlx/tiny-4bit": tiny });
  now.hub.troubles.set("model.safetensors", [{ silentAt: 50_000 }, { ignoreRange: true }]);
  const got = await readFile(join(await now.pull("tiny", cutAt(now, 50_000)), "model.safetensors"));
  expect(got.equals(weights)).toBe(true);
});

test("a silent connection is given up and resumed", async () => {
  const { pull, hub, options } = await start({ "mlx/tiny-4bit": tiny });
  hub.troubles.set("model.safetensors", [{ silentAt: 50_000 }]);
  const { clock } = options.ports;
  const watches = new Set<() => void>();
  const watchful = {
    ...hasty(clock),
    after(ms: number, run: () => void) {
      if (ms !== STALL_MS) return clock.after(ms, run);
      watches.add(run);
      return () => watches.delete(run);
    },
  };
  const onProgress: typeof options.onProgress = (event) => {
    if (event.type !== "progress" || event.file !== "model.safetensors" || event.completed !== 50_000) return;
    setImmediate(() => [...watches].at(-1)?.());
  };
  const ports = { ...options.ports, clock: watchful };
  const got = await readFile(join(await pull("tiny", { ports, onProgress }), "model.safetensors"));
  expect(got.equals(weights)).toBe(true);
});

test("wrong bytes are fetched once more and then refused, and nothing of them stays", async () => {
  const { pull, refusal, hub, hubFolder } = await start({ "mlx/tiny-4bit": tiny });
  hub.troubles.set("model.safetensors", [{ corrupt: true }, { corrupt: true }]);
  const said = await refusal("tiny");
  const kept = Object.keys(await tree(hubFolder)).filter((name) => name.includes(sha256(weights)));
  hub.troubles.set("model.safetensors", [{ corrupt: true }]);
  const got = await readFile(join(await pull("tiny"), "model.safetensors"));
  const wrong = sha256(new Uint8Array(weights.byteLength).fill(88));
  expect({ said, kept, same: got.equals(weights) }).toEqual({
    said: `network: model.safetensors of mlx/tiny-4bit arrived with SHA-256 ${wrong} instead of ${sha256(weights)}; it was removed | Try again later, or check HF_ENDPOINT and any proxy between.`,
    kept: [],
    same: true,
  });
});

test("small files are verified by git's hash", async () => {
  const { refusal, hub } = await start({ "mlx/tiny-4bit": tiny });
  hub.troubles.set("config.json", [{ corrupt: true }, { corrupt: true }]);
  expect(await refusal("tiny")).toStartWith("network: config.json of mlx/tiny-4bit arrived with git SHA-1 ");
});

test("a body longer than listed is not written to the disk", async () => {
  const { refusal, hub } = await start({ "mlx/tiny-4bit": tiny });
  hub.troubles.set(
    "model.safetensors",
    Array.from({ length: 9 }, () => ({ extra: 100_000 })),
  );
  expect(await refusal("tiny")).toMatch(/^network: .*model.safetensors is longer than the 200000 bytes/);
});

test("a file that is not the one listed is refused before it is fetched", async () => {
  const { refusal, hub } = await start({ "mlx/tiny-4bit": tiny });
  const other = "d".repeat(64);
  hub.troubles.set("model.safetensors", [{ offerEtag: other }]);
  expect(await refusal("tiny")).toBe(
    `network: the hub lists model.safetensors of mlx/tiny-4bit as ${sha256(weights)} but offers ${other} | Try again later, or check HF_ENDPOINT.`,
  );
});

test("what another tool has put in the cache is used in place, and completed if it is incomplete", async () => {
  const { pull, hub, hubFolder, asked } = await start({ "mlx/tiny-4bit": tiny });
  const snapshot = join(hubFolder, "models--mlx--tiny-4bit", "snapshots", commit);
  await mkdir(snapshot, { recursive: true });
  await writeFile(join(snapshot, "config.json"), config);
  await writeFile(join(snapshot, "tokenizer.json"), "{}");
  const first = { path: await pull("tiny"), asked: asked().slice(1) };
  hub.seen.length = 0;
  expect([first, await pull("tiny"), asked()]).toEqual([
    {
      path: snapshot,
      asked: [
        `hub /mlx/tiny-4bit/resolve/${commit}/model.safetensors`,
        "store /mlx/tiny-4bit/model.safetensors",
      ],
    },
    snapshot,
    [],
  ]);
});

test("a refresh fetches only what changed", async () => {
  const { pull, hub, root, asked } = await start({ "mlx/tiny-4bit": tiny });
  await pull("tiny");
  const next = "d".repeat(40);
  hub.repositories["mlx/tiny-4bit"] = { commit: next, files: { ...tiny.files, "tokenizer.json": "[]" } };
  hub.seen.length = 0;
  expect([(await pull("tiny", { refresh: true })).slice(root.length), asked()]).toEqual([
    `/hub/models--mlx--tiny-4bit/snapshots/${next}`,
    ["hub /api/models/mlx/tiny-4bit/revision/main", `hub /mlx/tiny-4bit/resolve/${next}/tokenizer.json`],
  ]);
});

test("a mirror that lists names alone is asked for each file's hash", async () => {
  const { pull } = await start({ "mlx/tiny-4bit": { ...tiny, bare: true } });
  expect((await readFile(join(await pull("tiny"), "model.safetensors"))).equals(weights)).toBe(true);
});

test("a config that cannot be run ends it before the weights", async () => {
  const { hub, pull, asked } = await start({ "mlx/tiny-4bit": tiny });
  const checkConfig = (config: unknown) => {
    throw new Error(`cannot run ${JSON.stringify(config)}`);
  };
  const said = await pull("tiny", { checkConfig }).catch(String);
  const weightsAsked = asked().filter((path) => path.includes("safetensors"));
  expect([said, weightsAsked, hub.seen.length > 0]).toEqual([`Error: cannot run ${config}`, [], true]);
});

test("a file that was damaged on the disk is found out, and the next pull brings it back", async () => {
  const { pull, places } = await start({ "mlx/tiny-4bit": tiny });
  const file = join(await pull("tiny"), "model.safetensors");
  const all = await list(places);
  const sound = await Promise.all(all.map((model) => verify(model)));
  await writeFile(await realpath(file), new Uint8Array(weights.byteLength));
  const spoilt = await Promise.all(all.map((model) => verify(model)));
  await pull("tiny");
  expect([sound, spoilt, (await readFile(file)).equals(weights)]).toEqual([
    [{ verified: ["config.json", "model.safetensors", "tokenizer.json"], damaged: [], unknown: [] }],
    [{ verified: ["config.json", "tokenizer.json"], damaged: ["model.safetensors"], unknown: [] }],
    true,
  ]);
});

test("a pull announces its files, then tells of each until it is whole", async () => {
  const { pull, events } = await start({ "mlx/tiny-4bit": tiny });
  await pull("tiny");
  const told = events.map((event) =>
    event.type === "progress" ? `${event.file} ${event.completed}` : event.type,
  );
  expect([told.slice(0, 3), told.at(-1)]).toEqual([
    ["started", `config.json ${config.length}`, "tokenizer.json 2"],
    "model.safetensors 200000",
  ]);
});
