/**
 * Builds and runs the shim's own tests. Run: bun mlx-c/test.ts [--platform linux-arm64] [part of a test's name].
 * Another platform's program runs under qemu's user mode.
 */
import { join } from "node:path";
import { buildNative, nativeFolder } from "./build.ts";
import type { Platform } from "./pins.ts";
import { BuildError, main, run } from "./run.ts";
import { hostPlatform, platformOf } from "./toolchain.ts";

/** What the program prints: a line a test, then `N passed, N failed`. Throws with that text if one failed. */
export async function testShim(platform: Platform, filter: readonly string[] = []): Promise<string> {
  const emulator = emulatorFor(platform);
  await buildNative(platform, { tests: true });
  return run([...emulator, join(nativeFolder(platform), "build", "exo_test"), ...filter]);
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

if (import.meta.main) {
  await main(async () => {
    const named = Bun.argv.indexOf("--platform");
    const filter = Bun.argv
      .slice(2)
      .filter((_, index) => named < 0 || (index + 2 !== named && index + 2 !== named + 1));
    process.stdout.write(await testShim(platformOf(Bun.argv), filter));
  });
}
