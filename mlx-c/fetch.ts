/** Brings pinned parts into `.cache/` by the registries' ordinary clients. What is there already is not fetched again. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { locked } from "./lock.mjs";
import { mlxC, type Wheel } from "./pins.ts";
import { BuildError, cache, run, step } from "./run.ts";

/** A folder whose name says that it is complete: filled under another name, renamed when all is there. */
export async function once(folder: string, fill: (unfinished: string) => Promise<void>): Promise<string> {
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.unfinished`;
  mkdirSync(dirname(folder), { recursive: true });
  await locked(
    `${folder}.lock`,
    async () => {
      if (existsSync(folder)) return;
      // A process that was killed while it filled the folder leaves it behind.
      rmSync(unfinished, { recursive: true, force: true });
      mkdirSync(unfinished);
      try {
        await fill(unfinished);
        renameSync(unfinished, folder);
      } finally {
        rmSync(unfinished, { recursive: true, force: true });
      }
    },
    (holder) =>
      process.stderr.write(`exo: waiting for process ${holder}, which fetches ${basename(folder)}\n`),
  );
  return folder;
}

/** Downloads a wheel; returns the path of the file, whose hash pip has checked and we check again. */
export async function downloadWheel(wheel: Wheel): Promise<string> {
  const { name, version, tag, sha256, megabytes } = wheel;
  const folder = await once(
    join(cache, "fetched", `${name}-${version}-${tag}-${sha256.slice(0, 12)}`),
    (to) =>
      step(`fetch ${name} ${version} (${tag}, ${megabytes} MB)`, async () => {
        const requirements = join(to, "requirements.txt");
        writeFileSync(requirements, `${name}==${version} --hash=sha256:${sha256}\n`);
        // The Python version is pinned so that an older one on this machine does not refuse a file it never runs.
        await run(
          // biome-ignore format: one option with its value a line
          [
          "python3", "-m", "pip", "download",
          "--quiet", "--disable-pip-version-check", "--progress-bar", "off",
          "--no-deps", "--require-hashes", "--only-binary=:all:",
          "--python-version", "3.12",
          "--platform", tag,
          "--dest", to,
          "--requirement", requirements,
        ],
          {
            missing: "python3 is not installed: it fetches the pinned wheels (Python 3.8 or newer, with pip)",
          },
        );
      }),
  );
  const file = readdirSync(folder).find((entry) => entry.endsWith(".whl"));
  if (!file) throw new BuildError(`${folder} holds no wheel: delete it and run again`);
  return join(folder, file);
}

/** Downloads and unpacks a wheel; returns the folder of its contents. */
export async function fetchWheel(wheel: Wheel): Promise<string> {
  const unpacked = join(
    cache,
    "unpacked",
    `${wheel.name}-${wheel.version}-${wheel.tag}-${wheel.sha256.slice(0, 12)}`,
  );
  return once(unpacked, async (to) => unzip(await downloadWheel(wheel), wheel.sha256, to));
}

/** Unpacks a zip after checking it once more: it may have lain in the cache for a year. */
export async function unzip(file: string, sha256: string, to: string): Promise<void> {
  await requireHash(file, sha256);
  await run(["python3", "-m", "zipfile", "-e", file, to]);
}

export interface Crate {
  readonly crate: string;
  readonly version: string;
  readonly sha256: string;
  /** The folder in it that is used. */
  readonly source: string;
  /** What it says of itself. */
  readonly what: string;
  /** What the crate needs to build itself in Rust. We never do, so these are replaced by empty crates and not fetched. */
  readonly unused: Readonly<Record<string, string>>;
}

/** mlx-c's sources, from the crate that carries them. */
export const fetchMlxC = (): Promise<string> => fetchCrate({ ...mlxC, what: "C bindings of MLX" });

/** The folder of sources that a crate carries. cargo checks the crate against the hash in the lock file. */
export async function fetchCrate(pin: Crate): Promise<string> {
  const { crate, version, sha256, source, what } = pin;
  const folder = await once(join(cache, "unpacked", `${crate}-${version}-${sha256.slice(0, 12)}`), (to) =>
    step(`fetch ${crate} ${version} (${what})`, async () => {
      writeManifest(pin, to);
      await run(["cargo", "vendor", "--quiet", "--locked", "vendor"], {
        cwd: to,
        missing: "cargo is not installed: it fetches the C bindings of MLX (Rust 1.68 or newer)",
      });
      const { package: found } = await Bun.file(join(to, "vendor", crate, ".cargo-checksum.json")).json();
      if (found !== sha256)
        throw new BuildError(`${crate} ${version} has hash ${found}, pinned is ${sha256}`);
    }),
  );
  return join(folder, "vendor", crate, source);
}

/** A manifest that depends on the crate alone: what the crate itself would pull in is patched to empty crates. */
function writeManifest({ crate, version, sha256, unused }: Crate, folder: string): void {
  const write = (path: string, text: string) => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  const manifest = (name: string, at: string) =>
    `[package]\nname = "${name}"\nversion = "${at}"\nedition = "2021"\n[lib]\npath = "lib.rs"\n`;
  const patches = Object.entries(unused);
  for (const [name, at] of patches) {
    write(`${name}/Cargo.toml`, manifest(name, at));
    write(`${name}/lib.rs`, "");
  }
  write("lib.rs", "");
  write(
    "Cargo.toml",
    `${manifest("pins", "0.0.0")}[dependencies]\n${crate} = "=${version}"\n[patch.crates-io]\n${patches
      .map(([name]) => `${name} = { path = "${name}" }\n`)
      .join("")}`,
  );
  const locked = [
    ...patches.map(([name, at]) => ({ name, text: `name = "${name}"\nversion = "${at}"\n` })),
    {
      name: crate,
      text: `name = "${crate}"\nversion = "${version}"\nsource = "registry+https://github.com/rust-lang/crates.io-index"\nchecksum = "${sha256}"\ndependencies = [\n${patches.map(([name]) => ` "${name}",\n`).join("")}]\n`,
    },
    { name: "pins", text: `name = "pins"\nversion = "0.0.0"\ndependencies = [\n "${crate}",\n]\n` },
  ];
  const packages = locked
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ text }) => `[[package]]\n${text}`);
  write("Cargo.lock", `version = 3\n\n${packages.join("\n")}`);
}

async function requireHash(file: string, sha256: string): Promise<void> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(file).stream()) hasher.update(chunk);
  const found = hasher.digest("hex");
  if (found !== sha256)
    throw new BuildError(`${file} has SHA-256 ${found}, pinned is ${sha256}: delete it and run again`);
}
