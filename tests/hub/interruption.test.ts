import { afterEach, expect, test } from "bun:test";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "#actors/runtime/clock";
import { content, sha256, type TestRepository } from "./test-hub.ts";
import { hasty, refusalOf, tree, type World, world } from "./world.ts";

// More than the megabyte that is gathered before it is written, so that a part of it is on the disk when it stops.
const weights = content(3_000_000);
const tiny: TestRepository = { files: { "config.json": "{}", "model.safetensors": weights } };
const partial = `models--mlx--tiny-4bit/blobs/${sha256(weights)}.exo-incomplete`;

let here: World | undefined;
const start = async (repositories: Record<string, TestRepository>): Promise<World> => {
  here = await world(repositories);
  return here;
};
afterEach(async () => {
  await here?.close();
  here = undefined;
});

const fetched = ({ hub }: World) =>
  hub.seen.filter(({ at }) => at === "store").map(({ range }) => Number(/\d+/.exec(range ?? "0")?.[0]));

test("a pull that is stopped keeps what came, and the next one goes on there", async () => {
  const now = await start({ "mlx/tiny-4bit": tiny });
  now.hub.troubles.set("model.safetensors", [{ silentAt: 2_000_000 }]);
  const stop = new AbortController();
  const said = await now.refusal("tiny", {
    signal: stop.signal,
    ports: { ...now.options.ports, clock: hasty(now.options.ports.clock) },
    onProgress: (event) => {
      if (event.type === "progress" && event.file === "model.safetensors" && event.completed > 0)
        stop.abort();
    },
  });
  const kept = (await tree(now.hubFolder))[partial]?.length ?? 0;
  const got = await readFile(join(await now.pull("tiny"), "model.safetensors"));
  expect({ said, kept: kept > 0, from: fetched(now), same: got.equals(weights) }).toEqual({
    said: "cancelled: the download was stopped | The same command goes on where it stopped.",
    kept: true,
    from: [0, kept],
    same: true,
  });
});

test("a process that is killed in the middle leaves no lock, and the next one goes on there", async () => {
  const now = await start({ "mlx/tiny-4bit": tiny });
  now.hub.troubles.set("model.safetensors", [{ silentAt: 2_500_000 }]);
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "puller.ts"), now.hub.url, now.hubFolder],
    {
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  for await (const chunk of child.stdout) {
    if (/"completed":2[0-9]{6}/.test(new TextDecoder().decode(chunk))) break;
  }
  child.kill("SIGKILL");
  await child.exited;
  const got = await readFile(join(await now.pull("mlx/tiny-4bit"), "model.safetensors"));
  const [first, second = 0] = fetched(now);
  expect({
    first,
    resumed: second >= 1_000_000,
    same: got.equals(weights),
    events: now.events.some(({ type }) => type === "waiting"),
  }).toEqual({
    first: 0,
    resumed: true,
    same: true,
    events: false,
  });
});

test("two pulls at once fetch each file once", async () => {
  const now = await start({ "mlx/tiny-4bit": tiny });
  // Waiting for the other is real here: a clock that runs ahead would call it stuck.
  const ports = { ...now.options.ports, clock: systemClock };
  const [one, two] = await Promise.all([now.pull("tiny", { ports }), now.pull("mlx/tiny-4bit", { ports })]);
  expect({
    same: one === two,
    from: fetched(now),
    waited: now.events.some(({ type }) => type === "waiting"),
  }).toEqual({
    same: true,
    from: [0],
    waited: true,
  });
});

test("a pull whose turn never comes says who holds it", async () => {
  const now = await start({ "mlx/tiny-4bit": tiny });
  const { Database } = await import("bun:sqlite");
  const locks = join(now.hubFolder, ".locks", "models--mlx--tiny-4bit");
  await mkdir(locks, { recursive: true });
  const holder = new Database(join(locks, "exo.lock"));
  holder.run("BEGIN EXCLUSIVE");
  const said = await now.refusal("tiny");
  holder.close();
  expect(said).toBe(
    `unavailable: another exo holds ${join(locks, "exo.lock")} and has fetched nothing for 360 s | Stop that exo, then try again.`,
  );
});

test("a disk that is too small is said with both numbers before any weight is fetched", async () => {
  const now = await start({ "mlx/tiny-4bit": tiny });
  const ports = { ...now.options.ports, freeBytes: async () => 17_500_000 };
  const said = await now.refusal("tiny", { ports });
  const folder = join(now.hubFolder, "models--mlx--tiny-4bit");
  expect([said, fetched(now)]).toEqual([
    `doesNotFit: mlx/tiny-4bit needs 3.0 MB more on the disk of ${folder}, which has 17.5 MB free | Free some space (\`exo ls\`, \`exo rm\`), or set HF_HOME to a folder on a larger disk. What has arrived is kept.`,
    [],
  ]);
});

/** Only root may make a small disk, and only on Linux like this; elsewhere the test is reported as skipped. */
const mayMount = process.platform === "linux" && process.getuid?.() === 0;

test.skipIf(!mayMount)("a disk that fills up on the way is said, and what came is kept", async () => {
  const now = await start({ "mlx/tiny-4bit": tiny });
  await mkdir(now.hubFolder);
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", now.hubFolder]);
  if (mounted.exitCode !== 0) throw new Error(`mount: ${mounted.stderr}`);
  try {
    const said = await now.refusal("tiny");
    const kept = (await tree(now.hubFolder))[partial]?.length ?? 0;
    expect([said.replaceAll(/[0-9.]+ [kMG]B/g, "N"), kept > 1_000_000]).toEqual([
      `doesNotFit: model.safetensors of mlx/tiny-4bit needs N more on the disk of ${join(now.hubFolder, "models--mlx--tiny-4bit")}, which has N free | Free some space (\`exo ls\`, \`exo rm\`), or set HF_HOME to a folder on a larger disk. What has arrived is kept.`,
      true,
    ]);
  } finally {
    Bun.spawnSync(["umount", now.hubFolder]);
  }
});

test("a cache that cannot be written is named", async () => {
  const now = await start({ "mlx/tiny-4bit": tiny });
  await writeFile(now.hubFolder, "a file where the folder should be");
  expect(await now.refusal("tiny")).toBe(
    `forbidden: the model cache ${join(now.hubFolder, "models--mlx--tiny-4bit")} cannot be written (ENOTDIR) | Make it writable, or set HF_HOME or HF_HUB_CACHE to a folder that is.`,
  );
});

test("when one file fails the others stop, and keep what they have", async () => {
  const files = Object.fromEntries(
    ["a", "b", "c", "d", "e", "f"].map(
      (name, i) => [`${name}.safetensors`, content(2_000_000, i + 1)] as const,
    ),
  );
  const now = await start({ "org/many": { files: { "config.json": "{}", ...files } } });
  now.hub.troubles.set("a.safetensors", [{ status: 404, headers: { "x-error-code": "EntryNotFound" } }]);
  for (const name of ["b", "c", "d"]) now.hub.troubles.set(`${name}.safetensors`, [{ silentAt: 1_500_000 }]);
  const said = await refusalOf(now.pull("org/many"));
  expect([said.split(" |")[0], fetched(now).length <= 4]).toEqual([
    `notFound: org/many has no file a.safetensors at revision ${"c".repeat(40)}`,
    true,
  ]);
});
