/**
 * llama.cpp with its RPC back end as sides of bench/figures/split.ts: built here for this processor, from the source that a pinned package
 * carries. The first machine is the core of its client, the second that of a server.
 */
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { once } from "../../mlx-c/fetch.ts";
import { run, step } from "../../mlx-c/run.ts";
import { hostPlatform, toolchainFor } from "../../mlx-c/toolchain.ts";
import { benchCache } from "../models.ts";
import { answering } from "../peers-side.ts";
import type { Cut, SplitSide, Strategy } from "./side.ts";

/** llama.cpp itself is in no registry; its Python binding's source package has all of it. */
const PACKAGE = {
  name: "llama_cpp_python",
  version: "0.3.36",
  sha256: "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
  source: "vendor/llama.cpp",
} as const;
/** Its own defaults for a build on the machine it runs on; what is left out are programs that nobody starts here. */
const OPTIONS = [
  "-DCMAKE_BUILD_TYPE=Release",
  "-DGGML_NATIVE=ON",
  "-DGGML_RPC=ON",
  "-DBUILD_SHARED_LIBS=OFF",
  ...["TESTS", "EXAMPLES", "SERVER", "APP", "UI"].map((part) => `-DLLAMA_BUILD_${part}=OFF`),
  "-DLLAMA_OPENSSL=OFF",
];
const LIBRARIES = [
  "src/libllama.a",
  ...["libggml.a", "libggml-cpu.a", "ggml-rpc/libggml-rpc.a", "libggml-base.a"].map(
    (file) => `ggml/src/${file}`,
  ),
];
/**
 * The layers as exo has them, and in halves by number as it halves them itself; others gave less or the same, measured with SmolLM2. Of
 * tensors it gives each server the same part where nothing is asked for: a share is one of every tensor there, not of layers.
 */
const SETTINGS = [
  { strategy: "pipeline", servers: 1, flash: true, halves: false },
  { strategy: "pipeline", servers: 1, flash: false, halves: false },
  { strategy: "pipeline", servers: 2, flash: true, halves: false },
  { strategy: "pipeline", servers: 1, flash: true, halves: true },
  { strategy: "tensor", servers: 2, flash: true, halves: true },
] as const;
type Setting = (typeof SETTINGS)[number];

/** One for every setting, each with servers of its own: one server has one client. */
export async function llamaSides(
  stack: AsyncDisposableStack,
  path: string,
  context: number,
  cut: Cut,
  strategies: readonly Strategy[],
): Promise<readonly SplitSide[]> {
  const source = await llamaSource();
  const built = await llamaBuilt(source);
  const client = await clientBuilt(source, built);
  const sides: SplitSide[] = [];
  for (const setting of SETTINGS.filter(({ strategy }) => strategies.includes(strategy)))
    sides.push(await sideOf(stack, { built, client, path, context, ...cut }, setting));
  return sides;
}

interface Wanted extends Cut {
  readonly built: string;
  readonly client: string;
  readonly path: string;
  readonly context: number;
}

async function sideOf(
  stack: AsyncDisposableStack,
  { built, client, path, context, cut: given, layers }: Wanted,
  { strategy, servers, flash, halves }: Setting,
): Promise<SplitSide> {
  // The client's machine is the first; it has a server too where both are servers.
  const cores = servers === 1 ? [1] : [0, 1];
  const endpoints = await Promise.all(cores.map((core) => serverOn(stack, built, core)));
  const cut = halves ? Math.ceil(layers / 2) : given;
  // The head counts as one more layer, and is where the last one is, as with exo.
  const away = servers === 1 ? layers - cut + 1 : layers + 1;
  const share = servers === 1 || strategy === "tensor" ? 0 : cut;
  const parts = strategy === "tensor" ? "ranks" : `layers ${cut} and ${layers - cut}`;
  const setting = `${parts}, ${servers === 1 ? "client and server" : "two servers"}, flash ${flash ? "on" : "off"}`;
  const mode = strategy === "tensor" ? "tensor" : "layer";
  const asked = await answering(`llama.cpp RPC ${setting}`, [
    ...["taskset", "-c", "0", client, path],
    ...[context, Number(flash), mode, away, share].map(String),
    ...endpoints,
  ]);
  stack.use(asked);
  const { version, run: ran } = asked;
  return {
    of: "llama.cpp RPC",
    setting,
    isSameSplit: !halves,
    version: `${PACKAGE.name} ${PACKAGE.version}, ${version}`,
    run: ran,
  };
}

const PATIENCE_MS = 10_000;
const LOOK_EVERY_MS = 20;

/** Where it listens. */
async function serverOn(stack: AsyncDisposableStack, built: string, core: number): Promise<string> {
  const holder = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  const { port } = holder;
  holder.stop(true);
  const server = [join(built, "bin", "ggml-rpc-server"), "-H", "127.0.0.1", "-p", String(port), "-t", "1"];
  const child = Bun.spawn(["taskset", "-c", String(core), ...server], { stdout: "ignore", stderr: "ignore" });
  stack.defer(async () => {
    child.kill();
    await child.exited;
  });
  return await answers(port);
}

/** It serves who connects one after the other, and takes one that says nothing for gone. */
async function answers(port: number): Promise<string> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      (await Bun.connect({ hostname: "127.0.0.1", port, socket: { data: () => {} } })).end();
      return `127.0.0.1:${port}`;
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await Bun.sleep(LOOK_EVERY_MS);
    }
  }
}

/** The folder of what cmake built. */
async function llamaBuilt(source: string): Promise<string> {
  return await once(`${source}-built`, (to) =>
    step("build llama.cpp with its RPC server (once, some minutes)", async () => {
      await run(["cmake", "-S", source, "-B", to, ...OPTIONS], { missing: "cmake is not installed" });
      const targets = ["--target", "llama", "ggml-rpc-server"];
      await run(["cmake", "--build", to, ...targets, "-j", Bun.env.EXO_BUILD_JOBS ?? "1"]);
    }),
  );
}

/** The folder of llama.cpp's source. */
async function llamaSource(): Promise<string> {
  const { name, version, sha256, source } = PACKAGE;
  const folder = join(benchCache, `${name}-${version}-${sha256.slice(0, 12)}`);
  await once(folder, (to) =>
    step(`fetch ${name} ${version} (llama.cpp's source, 77 MB)`, async () => {
      const requirements = join(to, "requirements.txt");
      writeFileSync(requirements, `${name}==${version} --hash=sha256:${sha256}\n`);
      // biome-ignore format: one option with its value a line
      await run([
        "python3", "-m", "pip", "download",
        "--quiet", "--disable-pip-version-check", "--progress-bar", "off",
        "--no-deps", "--require-hashes", `--no-binary=${name}`,
        "--dest", to,
        "--requirement", requirements,
      ], { missing: "python3 is not installed: it fetches llama.cpp's source (Python 3.8 or newer, with pip)" });
      const file = `${name}-${version}.tar.gz`;
      await run([
        "tar",
        "-xzf",
        join(to, file),
        "-C",
        to,
        "--strip-components=1",
        `${name}-${version}/${source}`,
      ]);
      rmSync(join(to, file));
    }),
  );
  return join(folder, source);
}

/** Our own client, linked with what was built. */
async function clientBuilt(source: string, built: string): Promise<string> {
  const own = join(import.meta.dir, "llama-rpc.cpp");
  const program = join(built, "llama-rpc");
  if (existsSync(program) && statSync(program).mtimeMs > statSync(own).mtimeMs) return program;
  const { compiler } = toolchainFor(hostPlatform());
  const include = ["include", "ggml/include"].map((folder) => `-I${join(source, folder)}`);
  const linked = LIBRARIES.map((file) => join(built, file));
  // biome-ignore format: what is compiled, and with what it is linked
  await run([
    compiler, "-std=c++20", "-O2", ...include, own, "-o", program,
    "-Wl,--start-group", ...linked, "-Wl,--end-group", "-fopenmp", "-pthread", "-ldl",
  ]);
  return program;
}
