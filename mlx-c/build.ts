/**
 * Builds the native library into `.cache/native/<platform>/lib` and fetches the small model.
 * Run: bun mlx-c/build.ts [--platform linux-x64|linux-arm64|darwin-arm64]. A second run only looks whether anything changed.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { setRpath } from "./elf.ts";
import { fetchMlxC, fetchWheel } from "./fetch.ts";
import { fetchModel } from "./fetch-model.ts";
import { fetchGrids } from "./grids.ts";
import { locked } from "./lock.mjs";
import { mlxCVersion, mlxVersion, type Platform, platforms } from "./pins.ts";
import { BuildError, cache, main, requireDisk, run, step } from "./run.ts";
import { platformOf, type Toolchain, toolchainFor } from "./toolchain.ts";

/** What lies in a lib folder, as the reader of the folder checks it. */
export interface Manifest {
  readonly platform: Platform;
  readonly mlx: string;
  readonly mlxC: string;
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
}

export const nativeFolder = (platform: Platform): string => join(cache, "native", platform);

/** Downloads, their contents and object files of one platform, with some air. */
const BUILD_MEGABYTES = 800;

/** What can watch the shim while its tests run. */
export const sanitizers = ["address", "undefined", "thread"] as const;
export type Sanitizer = (typeof sanitizers)[number];

/** Where the tests' programs lie once they are built. */
export const testFolder = (platform: Platform, sanitize?: Sanitizer): string =>
  join(nativeFolder(platform), sanitize ? `build-${sanitize}` : "build");

/** Builds what is out of date; `tests` adds the shim's test programs. Returns the lib folder. */
export async function buildNative(platform: Platform, { tests = false } = {}): Promise<string> {
  const folder = nativeFolder(platform);
  const lib = join(folder, "lib");
  const wanted = stampOf(platform);
  const isFresh = () => readIfThere(join(folder, "stamp")) === wanted && isComplete(lib);
  if (isFresh() && !tests) return lib;
  const toolchain = toolchainFor(platform);
  mkdirSync(folder, { recursive: true });
  await locked(
    join(folder, "lock"),
    async () => {
      const wasFresh = isFresh();
      if (wasFresh && !tests) return;
      if (!wasFresh) requireDisk(BUILD_MEGABYTES);
      const [wheel, source, grids] = await Promise.all([
        fetchWheel(platforms[platform].mlx),
        fetchMlxC(),
        fetchGrids(),
      ]);
      const what = wasFresh ? "the shim's tests" : `mlx-c ${mlxCVersion} and the shim`;
      await step(`compile ${what} for ${platform}`, () =>
        compile({ folder: testFolder(platform), platform, toolchain, wheel, source, grids, tests }),
      );
      if (wasFresh) return;
      await assemble({ platform, toolchain, wheel, lib });
      writeFileSync(join(folder, "stamp"), wanted);
    },
    (holder) => process.stderr.write(`exo: waiting for the build of process ${holder}\n`),
  );
  return lib;
}

/** Builds the tests' programs with the shim inside them, watched by a sanitizer. */
export async function buildSanitized(platform: Platform, sanitize: Sanitizer): Promise<void> {
  await buildNative(platform);
  const folder = testFolder(platform, sanitize);
  const toolchain = toolchainFor(platform);
  const [wheel, source, grids] = await Promise.all([
    fetchWheel(platforms[platform].mlx),
    fetchMlxC(),
    fetchGrids(),
  ]);
  await locked(
    `${folder}.lock`,
    () =>
      step(`compile the shim's tests with -fsanitize=${sanitize} for ${platform}`, () =>
        compile({ folder, platform, toolchain, wheel, source, grids, tests: true, sanitize }),
      ),
    (holder) => process.stderr.write(`exo: waiting for the build of process ${holder}\n`),
  );
}

interface Compile {
  readonly folder: string;
  readonly platform: Platform;
  readonly toolchain: Toolchain;
  readonly wheel: string;
  readonly source: string;
  readonly grids: string;
  readonly tests: boolean;
  readonly sanitize?: Sanitizer;
}

async function compile(wanted: Compile): Promise<void> {
  const { folder, platform, toolchain, wheel, source, grids, tests, sanitize = "" } = wanted;
  const { compiler, cmake } = toolchain;
  forgetOtherBuild(folder, `${compiler}\n${source}\n${wheel}\n`);
  const { dependencies } = platforms[platform];
  const missing = (tool: string) => ({
    missing: `${tool} is not installed: it builds the native library (Debian: apt-get install cmake ninja-build)`,
  });
  await run(
    // biome-ignore format: one definition a line
    [
      "cmake", "-G", "Ninja", "-S", import.meta.dir, "-B", folder,
      `-DCMAKE_CXX_COMPILER=${compiler}`,
      `-DMLX_C_SOURCE=${source}`,
      `-DGGML_GRIDS=${grids}`,
      `-DMLX_PIN=${mlxVersion}`,
      `-DMLX_C_PIN=${mlxCVersion}`,
      `-DMLX_DIR=${join(wheel, "mlx", "share", "cmake", "MLX")}`,
      `-DMLX_LIBS=${join(wheel, dependencies ?? join("mlx", "lib"))}`,
      `-DEXO_TESTS=${tests ? "ON" : "OFF"}`,
      `-DEXO_SANITIZE=${sanitize}`,
      ...cmake,
    ],
    missing("cmake"),
  );
  const jobs = Bun.env.EXO_BUILD_JOBS ?? String(availableParallelism());
  await run(["cmake", "--build", folder, "--parallel", jobs], missing("cmake"));
}

/** CMake keeps the compiler and the paths it saw first: with others it has to begin anew. */
function forgetOtherBuild(folder: string, origin: string): void {
  const note = join(folder, "exo-origin");
  if (readIfThere(note) === origin) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(note, origin);
}

interface Assemble {
  readonly platform: Platform;
  readonly toolchain: Toolchain;
  readonly wheel: string;
  readonly lib: string;
}

/** Puts the built library beside libmlx and what that needs, in one flat folder in which they find each other. */
async function assemble({ platform, toolchain, wheel, lib }: Assemble): Promise<void> {
  const { library, dependencies } = platforms[platform];
  const sources = [
    join(nativeFolder(platform), "build", library),
    ...filesOf(join(wheel, "mlx", "lib")),
    ...(dependencies ? filesOf(join(wheel, dependencies)) : []),
  ];
  mkdirSync(lib, { recursive: true });
  const files = [];
  for (const source of sources) files.push(await place(source, join(lib, basename(source)), toolchain));
  const kept = new Set([...files.map(({ name }) => name), "manifest.json"]);
  for (const entry of readdirSync(lib)) if (!kept.has(entry)) rmSync(join(lib, entry), { recursive: true });
  const manifest: Manifest = { platform, mlx: mlxVersion, mlxC: mlxCVersion, files };
  writeWhole(join(lib, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Copies one library, stripped and looking for others only beside itself; renamed into place when it is whole. */
async function place(source: string, to: string, { strip }: Toolchain): Promise<Manifest["files"][number]> {
  const unfinished = `${to}.${process.pid}`;
  if (source.includes(".so")) {
    await run([strip, "--strip-unneeded", "-o", unfinished, source]);
    const bytes = readFileSync(unfinished);
    setRpath(bytes, "$ORIGIN");
    writeFileSync(unfinished, bytes);
  } else {
    // Apple's linker has written @loader_path and the wheel's libraries say @rpath; a changed file would lose its signature.
    writeFileSync(unfinished, readFileSync(source));
  }
  const bytes = readFileSync(unfinished);
  renameSync(unfinished, to);
  const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  return { name: basename(to), bytes: bytes.length, sha256 };
}

const filesOf = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => /\.(so|dylib|metallib)/.test(name))
    .map((name) => join(folder, name));

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
}

/** What the library is made from, besides what is pinned in one of these. */
const ingredients = [
  "{pins,build,elf,grids,toolchain}.ts",
  "CMakeLists.txt",
  "exports.map",
  "shim/*.*",
  "compat/**/*.*",
];

/** A digest of everything the library is made from. */
function stampOf(platform: Platform): string {
  const hasher = new Bun.CryptoHasher("sha256").update(platform).update(Bun.env.CXX ?? "");
  for (const pattern of ingredients) {
    // Bun matches nothing, silently, with braces inside braces: an empty pattern is a mistake here.
    const found = [...new Bun.Glob(pattern).scanSync(import.meta.dir)].sort();
    if (found.length === 0) throw new Error(`${pattern} names no file of the build`);
    for (const path of found) hasher.update(path).update(readFileSync(join(import.meta.dir, path)));
  }
  return hasher.digest("hex");
}

/** Every file of the manifest is there with its size; contents are checked by who unpacks them elsewhere. */
function isComplete(lib: string): boolean {
  const text = readIfThere(join(lib, "manifest.json"));
  if (text === undefined) return false;
  const { files }: Manifest = JSON.parse(text);
  return files.every(
    ({ name, bytes }) => existsSync(join(lib, name)) && statSync(join(lib, name)).size === bytes,
  );
}

const readIfThere = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, "utf8") : undefined;

if (import.meta.main) {
  await main(async () => {
    const platform = platformOf(Bun.argv);
    const results = await Promise.allSettled([buildNative(platform), fetchModel()]);
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason instanceof Error ? failed.reason : new BuildError(String(failed.reason));
  });
}
