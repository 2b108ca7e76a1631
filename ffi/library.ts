/** Finds and opens the native library. One thread opens it and makes every call: MLX's streams belong to a thread. */
import { dlopen, type FFIFunction } from "bun:ffi";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "#protocol/problem";
import { type CallState, callState, type FailureSource, type Raw, readInts } from "./call.ts";
import { bind, type Native, signatures } from "./generated/symbols.ts";
import { pins } from "./pins.ts";

export interface Library {
  readonly native: Native;
  readonly state: CallState;
  readonly folder: string;
  readonly versions: { readonly abi: number; readonly mlx: string; readonly mlxC: string };
}

/** Opens the library in `folder`. Throws Problem saying what is missing or does not fit. */
export function openLibrary(folder: string): Library {
  const file = join(folder, process.platform === "darwin" ? "libexo.dylib" : "libexo.so");
  const remedy =
    "from a source tree: bun mlx-c/build.ts; otherwise delete the unpacked copy and start exo again";
  if (!existsSync(file)) throw new Problem("internal", `the native library ${file} is missing`, { remedy });
  const raw = load(file, remedy);
  let native: Native;
  const state = callState(() => failureSource(native));
  native = bind(raw, state);
  const versions = JSON.parse(native.exo_versions() ?? "{}") as Library["versions"];
  for (const key of ["abi", "mlx", "mlxC"] as const) {
    if (versions[key] === pins[key]) continue;
    throw new Problem("internal", `${file} has ${key} ${versions[key]}, this exo was made for ${pins[key]}`, {
      remedy,
    });
  }
  return { native, state, folder, versions };
}

function load(file: string, remedy: string): Raw<typeof signatures> {
  try {
    return dlopen(file, signatures as unknown as Record<string, FFIFunction>).symbols as unknown as Raw<
      typeof signatures
    >;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Problem("internal", `the native library ${file} cannot be loaded: ${why}`, { remedy, cause });
  }
}

const failureSource = (native: Native): FailureSource => ({
  message() {
    const text = native.exo_last_error() ?? "no reason was given";
    native.exo_clear_error();
    return text;
  },
  shape: (array) => shapeOf(native, array),
  shapesIn: (vector) =>
    Array.from({ length: native.vector_array_size(vector) }, (_, index) => {
      const array = native.vector_array_get(vector, index);
      const shape = shapeOf(native, array);
      native.array_free(array);
      return shape;
    }),
});

const shapeOf = (native: Native, array: number): readonly number[] =>
  readInts(native.array_shape(array), native.array_ndim(array));
