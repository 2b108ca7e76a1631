/**
 * Compiles MLX's jaccl, which its Linux wheel lacks, and a verbs provider without a device, for tests/ranks/jaccl.test.ts:
 * `bun tests/ranks/jaccl/build.ts`, about a minute. Nothing of it is part of exo. A second run only looks whether it is there.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { builtFolder } from "#ffi/built-library";
import { type Crate, fetchCrate, fetchWheel, once } from "../../../mlx-c/fetch.ts";
import { mlxVersion, platforms } from "../../../mlx-c/pins.ts";
import { cache, run } from "../../../mlx-c/run.ts";

/** The whole source of the very MLX that the wheel was built from. */
const MLX: Crate = {
  crate: "mlxrs-sys",
  version: "0.2.0",
  sha256: "ace6d5383b15cade95fbf8b7a10dfa5c4a84b3dcfa57abe012a5020208570f25",
  source: "vendor/mlx/mlx",
  what: "MLX's sources",
  unused: { cc: "1.2.0", cmake: "0.1.57", walkdir: "2.5.0" },
};

const SOURCES = ["tcp", "rdma", "mesh", "ring", "jaccl"];
const OWN = ["verbs.cpp", "preload.cpp", "prelude.h", "json.hpp", "infiniband/verbs.h"];

/** Where the two libraries are, or would be: another folder for other sources. */
export function jacclFolder(): string {
  const hasher = new Bun.CryptoHasher("sha256").update(mlxVersion).update(MLX.sha256);
  for (const name of OWN) hasher.update(readFileSync(join(import.meta.dir, name)));
  return join(cache, "jaccl", hasher.digest("hex").slice(0, 12));
}

/** What a process needs in its environment to have that MLX. */
export const jacclEnvironment = (folder: string) => ({
  LD_PRELOAD: join(folder, "libjaccl.so"),
  LD_LIBRARY_PATH: folder,
});

export const isBuilt = (): boolean => existsSync(jacclFolder());

async function compile(folder: string): Promise<void> {
  const [mlx, wheel] = await Promise.all([fetchCrate(MLX), fetchWheel(platforms["linux-x64"].mlx)]);
  const jaccl = join(mlx, "distributed", "jaccl");
  const here = (name: string) => join(import.meta.dir, name);
  // biome-ignore format: one option with its value a line
  const options = [
    "-std=c++20", "-O1", "-w", "-fPIC",
    "-I", import.meta.dir,
    "-isystem", join(jaccl, "lib"),
    "-isystem", join(wheel, "mlx", "include"),
  ];
  // By the name under which jaccl opens it on a Mac.
  await run(["g++", ...options, "-shared", here("verbs.cpp"), "-o", join(folder, "librdma.dylib")]);
  const files = [
    ...SOURCES.map((name) => join(jaccl, "lib", "jaccl", `${name}.cpp`)),
    join(jaccl, "jaccl.cpp"),
    here("preload.cpp"),
  ];
  const objects = files.map((_, at) => join(folder, `${at}.o`));
  for (const [at, file] of files.entries())
    await run(["g++", ...options, "-include", here("prelude.h"), "-c", file, "-o", objects[at] ?? ""]);
  // biome-ignore format: one option with its value a line
  await run([
    "g++", "-shared", ...objects, "-o", join(folder, "libjaccl.so"),
    "-L", builtFolder, "-lmlx",
    `-Wl,-rpath,${builtFolder}`, `-Wl,-rpath-link,${builtFolder}`,
  ]);
}

if (import.meta.main) {
  await once(jacclFolder(), compile);
}
