/**
 * Builds and runs the shim's own tests, and its fuzz. Run: bun mlx-c/test.ts [options] [part of a test's name]
 *   --fuzz N           instead N random cases of every kernel, on each instruction set of this machine
 *   --paths a,b        only on these of them; --only NAME: only one operation; --seed S: other cases
 *   --case NAME:SEED   one case of a fuzz again, on each instruction set
 *   --sanitize KIND    the shim built with the compiler's address, undefined or thread sanitizer
 *   --platform P       linux-arm64 on this machine runs under qemu's user mode
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildNative, buildSanitized, type Sanitizer, sanitizers, testFolder } from "./build.ts";
import type { Platform } from "./pins.ts";
import { BuildError, main, run } from "./run.ts";
import { hostPlatform, platformOf } from "./toolchain.ts";

/** The kernels' instruction sets, best first. One that this processor lacks runs as the next lower, and is skipped. */
export const kernelPaths: Readonly<Record<Platform, readonly string[]>> = {
  "linux-x64": ["avx512", "avx512f", "avxvnni", "avx2", "portable"],
  "linux-arm64": ["neon", "neonf"],
  "darwin-arm64": ["neon", "neonf"],
};

/** Where the sanitizers stop: at the first finding, with a status that a test sees. The file says what is none, and why. */
const stopping: Readonly<Record<string, string>> = {
  ASAN_OPTIONS: "abort_on_error=0:halt_on_error=1",
  UBSAN_OPTIONS: "print_stacktrace=1",
  TSAN_OPTIONS: `halt_on_error=1:suppressions=${join(import.meta.dir, "shim", "test", "thread.supp")}`,
};

interface Where {
  readonly platform?: Platform;
  readonly sanitize?: Sanitizer | undefined;
}

/** What the program prints: a line a test, then `N passed, N failed`. Throws with that text if one failed. */
export async function testShim(filter: readonly string[] = [], where: Where = {}): Promise<string> {
  return run(await program("exo_test", where, filter), { env: stopping });
}

export interface Fuzz extends Where {
  /** What exo_fuzz is told: see mlx-c/shim/test/fuzz/main.cpp. */
  readonly told: readonly string[];
  readonly paths?: readonly string[] | undefined;
}

/** What the fuzz prints on each instruction set, by its name. Throws with that text if one has a finding. */
export async function fuzzShim({ told, paths, ...where }: Fuzz): Promise<Readonly<Record<string, string>>> {
  const platform = where.platform ?? hostPlatform();
  const command = await program("exo_fuzz", where, told);
  const printed: Record<string, string> = {};
  for (const path of paths ?? kernelPaths[platform]) {
    const text = await run(command, { env: { ...stopping, EXO_CPU_KERNELS: path } });
    // The last line begins with the set that ran.
    if (text.includes(`\n${path}: `)) printed[path] = text;
    else if (paths) throw new BuildError(`this processor has no ${path}`);
  }
  return printed;
}

async function program(name: string, where: Where, told: readonly string[]): Promise<readonly string[]> {
  const { platform = hostPlatform(), sanitize } = where;
  const emulator = emulatorFor(platform);
  if (sanitize) await buildSanitized(platform, sanitize);
  else await buildNative(platform, { tests: true });
  return [...emulator, join(testFolder(platform, sanitize), name), ...told];
}

function emulatorFor(platform: Platform): readonly string[] {
  if (platform === hostPlatform()) return [];
  if (platform !== "linux-arm64")
    throw new BuildError(`tests for ${platform} run on a machine of that kind only`);
  const emulator = ["qemu-aarch64-static", "qemu-aarch64"].find((name) => Bun.which(name));
  if (!emulator) {
    throw new BuildError(
      "qemu-aarch64 is not installed: it runs the arm64 tests on this machine (Debian: apt-get install qemu-user-static)",
    );
  }
  // Where Debian's cross compiler keeps the C and C++ libraries of the other machine.
  return [emulator, "-L", "/usr/aarch64-linux-gnu"];
}

function sanitizerOf(name: string | undefined): Sanitizer | undefined {
  const found = sanitizers.find((known) => known === name);
  if (name !== undefined && !found)
    throw new BuildError(`--sanitize ${name}: use one of ${sanitizers.join(", ")}`);
  return found;
}

const flags = {
  platform: { type: "string" },
  sanitize: { type: "string" },
  fuzz: { type: "string" },
  paths: { type: "string" },
  only: { type: "string" },
  seed: { type: "string" },
  case: { type: "string" },
} as const;

if (import.meta.main) {
  await main(async () => {
    const { values, positionals } = parseArgs({ options: flags, allowPositionals: true });
    const where: Where = { platform: platformOf(Bun.argv), sanitize: sanitizerOf(values.sanitize) };
    const { fuzz, only, seed } = values;
    const replayed = values.case;
    if (fuzz === undefined && replayed === undefined) {
      process.stdout.write(await testShim(positionals, where));
      return;
    }
    const told = Object.entries(replayed ? { case: replayed } : { cases: fuzz, only, seed }).flatMap(
      ([name, value]) => (value === undefined ? [] : [`--${name}`, value]),
    );
    const printed = await fuzzShim({ ...where, told, paths: values.paths?.split(",") });
    process.stdout.write(Object.values(printed).join(""));
  });
}
