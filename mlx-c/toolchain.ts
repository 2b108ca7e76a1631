/** Which compiler and strip make code for a platform on this machine, or what the user has to install for that. */
import type { Platform } from "./pins.ts";
import { platforms } from "./pins.ts";
import { BuildError } from "./run.ts";

export interface Toolchain {
  readonly compiler: string;
  readonly strip: string;
  /** What cmake has to be told beyond the compiler when the platform is not this machine's. */
  readonly cmake: readonly string[];
}

/** The oldest macOS that the pinned wheel is built for. */
const MACOS_TARGET = "14.0";

const names: Readonly<Record<string, Platform>> = {
  "linux x64": "linux-x64",
  "linux arm64": "linux-arm64",
  "darwin arm64": "darwin-arm64",
};

/** This machine's platform. */
export function hostPlatform(): Platform {
  const host = `${process.platform} ${process.arch}`;
  const platform = names[host];
  if (!platform)
    throw new BuildError(
      `no native library is pinned for ${host}; there is one for ${Object.values(names).join(", ")}`,
    );
  return platform;
}

/** The platform named by `--platform`, else this machine's. */
export function platformOf(argv: readonly string[]): Platform {
  const at = argv.indexOf("--platform");
  if (at < 0) return hostPlatform();
  const name = argv[at + 1];
  const platform = Object.values(names).find((known) => known === name);
  if (!platform)
    throw new BuildError(`--platform ${name ?? ""}: use one of ${Object.values(names).join(", ")}`);
  return platform;
}

export function toolchainFor(platform: Platform): Toolchain {
  const prefix = platforms[platform].crossPrefix;
  if (platform === hostPlatform()) {
    const cmake = platform === "darwin-arm64" ? [`-DCMAKE_OSX_DEPLOYMENT_TARGET=${MACOS_TARGET}`] : [];
    return { compiler: Bun.env.CXX ?? firstOf(["c++", "g++", "clang++"]), strip: "strip", cmake };
  }
  if (prefix === undefined) throw new BuildError(`${platform} can only be built on a machine of that kind`);
  if (!Bun.which(`${prefix}g++`)) {
    throw new BuildError(
      `${prefix}g++ is not installed: it compiles for ${platform} on this machine (Debian: apt-get install g++-${prefix.replace(/_/g, "-").slice(0, -1)})`,
    );
  }
  const processor = platform === "linux-arm64" ? "aarch64" : "x86_64";
  return {
    compiler: `${prefix}g++`,
    strip: `${prefix}strip`,
    cmake: ["-DCMAKE_SYSTEM_NAME=Linux", `-DCMAKE_SYSTEM_PROCESSOR=${processor}`],
  };
}

function firstOf(compilers: readonly string[]): string {
  const found = compilers.find((compiler) => Bun.which(compiler));
  if (!found)
    throw new BuildError("no C++ compiler found: install g++ 12 or clang 15 or newer, or name one in CXX");
  return found;
}
