import { join } from "node:path";
import { type Library, openLibrary } from "./library.ts";
import { createMlx, type MlxOptions, type NativeMlx } from "./native.ts";

/** Where `bun mlx-c/build.ts` leaves the library of this machine in a source tree. */
export const builtFolder = join(
  import.meta.dir,
  "..",
  ".cache",
  "native",
  `${process.platform}-${process.arch}`,
  "lib",
);

/** The library of the source tree, for tests, benches and scripts; the program gets its folder from the Supervisor. */
export const builtLibrary = (): Library => openLibrary(builtFolder);

/** Mlx on the CPU over it, so that tests compute the same everywhere. */
export const builtMlx = (options: MlxOptions = { device: "cpu" }): NativeMlx =>
  createMlx(builtLibrary(), options);
