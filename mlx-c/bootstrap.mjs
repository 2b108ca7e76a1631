// The first command of a fresh clone: fetches Bun and the packages of package-lock.json, and says what is missing on
// this machine. Plain Node 18 or newer without packages, because nothing else is there yet.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bun = join(root, "node_modules", ".bin", process.platform === "win32" ? "bun.exe" : "bun");
const stamp = join(root, "node_modules", ".exo-package-lock");
const PACKAGES_MEGABYTES = 700;
/** What npm puts in Bun's place before its binary is fetched is a text of some hundred bytes. */
const REAL_BINARY_BYTES = 1_000_000;
/** A slow network needs minutes; a hung one should end. */
const INSTALL_LIMIT_MS = 15 * 60_000;
/** The C library that the pinned MLX was built for. */
const GLIBC = [2, 35];

const say = (text) => process.stderr.write(`exo: ${text}\n`);

/** Something the person at the keyboard can act on. */
class Stop extends Error {}

const version = (text) => (/(\d+)\.(\d+)/.exec(text) ?? []).slice(1, 3).map(Number);
const isBelow = ([a = 0, b = 0], [x, y]) => a < x || (a === x && b < y);

/** What the program prints, or nothing if it is not there or fails. */
function answer(program, args, input) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", input, timeout: 60_000 });
  return status === 0 ? `${stdout}${stderr}`.trim() || " " : undefined;
}

/** One line per missing or too old program: what, from which version on, what for. */
function missing() {
  const lines = [];
  const need = (name, atLeast, purpose, found) => {
    const at = found === undefined ? undefined : version(found);
    const isMissing = at === undefined || (atLeast && at.length > 0 && isBelow(at, version(atLeast)));
    if (isMissing)
      lines.push(
        `${name}${atLeast ? ` ${atLeast} or newer` : ""}: ${purpose}${at?.length ? ` (found ${at.join(".")})` : ""}`,
      );
  };
  need("npm", "8.0", "fetches Bun and the packages", answer("npm", ["--version"]));
  need("python3", "3.8", "its pip fetches the pinned wheels", answer("python3", ["--version"]));
  need(
    "pip for python3",
    "20.3",
    "fetches the pinned wheels (Debian: python3-pip)",
    answer("python3", ["-m", "pip", "--version"]),
  );
  need("cargo", "1.68", "fetches the C bindings of MLX", answer("cargo", ["--version"]));
  need("cmake", "3.16", "builds the native library", answer("cmake", ["--version"]));
  need("ninja", "1.8", "builds the native library (Debian: ninja-build)", answer("ninja", ["--version"]));
  if (!compilesCxx20()) {
    lines.push(
      "a C++20 compiler (g++ 12, clang 15 or newer): builds the native library; CXX names it where it is not c++, g++ or clang++",
    );
  }
  if (process.platform === "linux") {
    const { glibcVersionRuntime } = process.report.getReport().header;
    need(
      `glibc (${process.platform})`,
      GLIBC.join("."),
      "the pinned MLX is built for it",
      glibcVersionRuntime,
    );
  }
  return lines;
}

function compilesCxx20() {
  const program =
    "#include <concepts>\n#include <source_location>\n#include <span>\nstatic_assert(std::integral<int>);\n";
  const compilers = process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"];
  const args = ["-std=c++20", "-fsyntax-only", "-x", "c++", "-"];
  return compilers.some((compiler) => answer(compiler, args, program) !== undefined);
}

function requireDisk() {
  // statfs came with Node 18.15; an older one finds out when npm does.
  if (!statfsSync) return;
  const { bavail, bsize } = statfsSync(root);
  const free = Math.floor((bavail * bsize) / 1e6);
  if (free < PACKAGES_MEGABYTES)
    throw new Stop(`${root} has ${free} MB free, the packages need ${PACKAGES_MEGABYTES} MB`);
}

function requireTools() {
  if (isBelow(version(process.versions.node), [18, 0]))
    throw new Stop(`Node ${process.versions.node} is too old: 18 or newer is needed`);
  const lines = missing();
  if (lines.length > 0)
    throw new Stop(
      `missing on this machine:\n${lines.map((line) => `  - ${line}\n`).join("")}Install these and run the same command again.`,
    );
}

/** npm says what is wrong first and prints its whole manual after it. */
const firstWords = (text) =>
  text
    .trim()
    .split(/\n.*Usage:/)[0]
    .slice(0, 4000)
    .trim();

const lockHash = () =>
  createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
const isReal = (path) => existsSync(path) && statSync(path).size > REAL_BINARY_BYTES;
const isInstalled = () => existsSync(stamp) && readFileSync(stamp, "utf8") === lockHash() && isReal(bun);

/** True where a build has succeeded once: then the tools for it were there. */
const hasBuilt = () =>
  existsSync(join(root, ".cache", "native", `${process.platform}-${process.arch}`, "stamp"));

function command(program, args) {
  const { status, signal, error, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    encoding: "utf8",
    timeout: INSTALL_LIMIT_MS,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return;
  const words = error ? error.message : firstWords(`${stdout}${stderr}`);
  const advice = /ENOSPC/.test(words)
    ? "\n→ the disk is full: free about 1 GB and run the same command again"
    : /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|network/.test(words)
      ? "\n→ the package registry could not be reached: check the network and proxy settings, then run the same command again"
      : "";
  throw new Stop(
    `${program} ${args.join(" ")} failed (${signal ?? status ?? "not started"})\n${words}${advice}`,
  );
}

function install() {
  requireDisk();
  const start = Date.now();
  say("fetch Bun and the packages (npm ci)");
  command("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]);
  // Scripts of packages stay off; this one only puts the binary that npm has fetched in its place.
  command(process.execPath, [join("node_modules", "bun", "install.js")]);
  if (!isReal(bun))
    throw new Stop(
      `npm has fetched no Bun for ${process.platform} ${process.arch}: is omit=optional set in an .npmrc?`,
    );
  if (answer(bun, ["--version"]) === undefined) throw new Stop(`${bun} does not run on this machine`);
  writeFileSync(stamp, lockHash());
  say(`fetch Bun and the packages (npm ci): done in ${((Date.now() - start) / 1000).toFixed(1)} s`);
}

async function bootstrap() {
  if (!hasBuilt()) requireTools();
  if (isInstalled()) return;
  const { locked } = await import("./lock.mjs");
  mkdirSync(join(root, ".cache"), { recursive: true });
  await locked(
    join(root, ".cache", "bootstrap.lock"),
    () => {
      if (!isInstalled()) install();
    },
    (holder) => say(`waiting for process ${holder}, which fetches the packages`),
  );
}

try {
  await bootstrap();
} catch (error) {
  if (!(error instanceof Stop) && error.code === undefined) throw error;
  say(error.message);
  process.exit(1);
}
