/**
 * Builds `dist/exo`: one file holding the program and the native library.
 *
 *     bun actors/supervisor/build.ts [--platform linux-arm64] [--force]
 *
 * The entry it compiles is generated into `.cache/build/` and imports each library file with `type: "file"`, so that what
 * is embedded is exactly what the native manifest lists. Nothing is built again while sources, library, lock file and Bun
 * are the same.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";

interface NativeManifest {
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
}

export interface BuildOptions {
  /** The source tree. */
  readonly root: string;
  /** `linux-x64`, `linux-arm64` or `darwin-arm64`. */
  readonly platform: string;
  /** The native library's folder, with its manifest.json. */
  readonly libraryFolder: string;
  /** The binary to write; written beside and renamed, so that a running one is not disturbed. */
  readonly outfile: string;
  readonly force?: boolean;
}

/** Files that decide what the binary is; tests are not among them. */
const SOURCES = [
  "{actors,ffi,protocol}/**/*.{ts,json,html,css,js}",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
];

/** Files that run in a Bun Worker must be entries of their own, or the binary does not find them. */
const THREADS = "actors/**/*-thread.ts";

/** Returns whether anything had to be built. */
export async function build(options: BuildOptions): Promise<boolean> {
  const { root, libraryFolder, outfile } = options;
  const manifest = await readManifest(libraryFolder);
  const stampFile = join(root, ".cache/build", `${basename(outfile)}-${options.platform}.stamp`);
  const stamp = await inputsHash(options, manifest);
  if (!options.force && existsSync(outfile) && (await textOf(stampFile)) === stampOf(stamp, outfile))
    return false;

  const work = join(root, ".cache/build", `${options.platform}-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    const entry = join(work, "entry.ts");
    await Bun.write(entry, entrySource(options, manifest, work));
    const built = join(work, "exo");
    await compile(options, entry, built);
    if (options.platform === hostPlatform()) await smoke(built);
    mkdirSync(join(outfile, ".."), { recursive: true });
    renameSync(built, outfile);
    await Bun.write(stampFile, stampOf(stamp, outfile));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return true;
}

const hostPlatform = (): string => `${process.platform}-${process.arch}`;

async function readManifest(libraryFolder: string): Promise<NativeManifest> {
  const file = Bun.file(join(libraryFolder, "manifest.json"));
  if (!(await file.exists()))
    fail(`${libraryFolder} holds no native library. Build it first: bun mlx-c/build.ts`);
  const manifest: NativeManifest = await file.json();
  for (const { name, bytes } of manifest.files) {
    const size = Bun.file(join(libraryFolder, name)).size;
    if (size !== bytes)
      fail(`${name} has ${size} bytes but its manifest says ${bytes}. Build it again: bun mlx-c/build.ts`);
  }
  return manifest;
}

async function inputsHash(options: BuildOptions, manifest: NativeManifest): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  hash.update(
    JSON.stringify([Bun.version, Bun.revision, options.platform, commitOf(options.root), manifest.files]),
  );
  const names = SOURCES.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: options.root })]);
  for (const name of names.filter((each) => !each.endsWith(".test.ts")).sort()) {
    hash.update(`\0${name}\0`).update(await Bun.file(join(options.root, name)).bytes());
  }
  return hash.digest("hex");
}

/** Bound to the binary's size and time as well: a binary that was replaced or cut short is built again. */
function stampOf(inputs: string, outfile: string): string {
  const file = Bun.file(outfile);
  return `${inputs} ${file.size} ${file.lastModified}`;
}

const textOf = async (path: string): Promise<string | undefined> =>
  (await Bun.file(path).exists()) ? Bun.file(path).text() : undefined;

/** Short hash of HEAD, `+` when tracked files differ from it; a tree without git has none. */
function commitOf(root: string): string {
  const git = (...args: string[]) => Bun.spawnSync(["git", "-C", root, ...args], { stderr: "ignore" });
  const head = git("rev-parse", "--short=10", "HEAD");
  if (!head.success) return "unknown";
  const dirty = git("status", "--porcelain", "--untracked-files=no").stdout.length > 0;
  return head.stdout.toString().trim() + (dirty ? "+" : "");
}

function entrySource(options: BuildOptions, manifest: NativeManifest, work: string): string {
  const { root, libraryFolder } = options;
  const from = (path: string) => JSON.stringify(relative(work, path).replaceAll("\\", "/"));
  const hash = new Bun.CryptoHasher("sha256")
    .update(JSON.stringify(manifest.files))
    .digest("hex")
    .slice(0, 16);
  const imports = manifest.files.map(
    ({ name }, index) => `import file${index} from ${from(join(libraryFolder, name))} with { type: "file" };`,
  );
  const files = manifest.files.map(
    ({ name, bytes, sha256 }, index) =>
      `{ name: ${JSON.stringify(name)}, bytes: ${bytes}, sha256: ${JSON.stringify(sha256)}, source: file${index} }`,
  );
  return `${imports.join("\n")}
import { cli } from ${from(join(root, "actors/supervisor/cli.ts"))};
await cli({
  version: ${JSON.stringify(versionOf(root))},
  commit: ${JSON.stringify(commitOf(root))},
  library: { hash: ${JSON.stringify(hash)}, files: [${files.join(", ")}] },
});
`;
}

const versionOf = (root: string): string => String(require(join(root, "package.json")).version);

/**
 * Bytecode for a quick start; identifiers keep their names (elysia compiles its handlers from their source text); a
 * folder's `.env` and `bunfig.toml` are not read, because a bunfig may run code. `--no-orphans` is not among the flags:
 * it also ends the process when its own parent goes, which would end an `exo serve` whose shell is closed. The workers
 * get it through their environment instead (config.ts).
 */
async function compile(options: BuildOptions, entry: string, built: string): Promise<void> {
  const threads = [...new Bun.Glob(THREADS).scanSync({ cwd: options.root })].map((each) =>
    join(options.root, each),
  );
  const flags = [
    "--compile",
    "--bytecode",
    "--format=esm",
    "--minify-whitespace",
    "--minify-syntax",
    "--sourcemap",
  ];
  const sealed = ["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"];
  const target = options.platform === hostPlatform() ? [] : [`--target=bun-${options.platform}`];
  const command = [
    process.execPath,
    "build",
    ...flags,
    ...sealed,
    ...target,
    entry,
    ...threads,
    "--outfile",
    built,
  ];
  const child = Bun.spawn(command, { cwd: options.root, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (child.exitCode !== 0) fail(`the bundler failed:\n${stdout}${stderr}`);
}

async function smoke(built: string): Promise<void> {
  const child = Bun.spawnSync([built, "version"]);
  if (!child.success) fail(`the new binary does not start:\n${child.stderr.toString()}`);
}

function fail(message: string): never {
  process.stderr.write(`✗ ${message}\n`);
  process.exit(1);
}

if (import.meta.main) {
  const argument = (name: string) => process.argv[process.argv.indexOf(name) + 1];
  const platform = (process.argv.includes("--platform") && argument("--platform")) || hostPlatform();
  const root = resolve(import.meta.dir, "../..");
  const outfile = join(root, "dist", platform === hostPlatform() ? "exo" : `exo-${platform}`);
  const libraryFolder = join(root, ".cache/native", platform, "lib");
  const built = await build({
    root,
    platform,
    libraryFolder,
    outfile,
    force: process.argv.includes("--force"),
  });
  process.stderr.write(
    built ? `✓ built ${relative(root, outfile)}\n` : `✓ ${relative(root, outfile)} is up to date\n`,
  );
}
