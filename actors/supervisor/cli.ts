/** The first thing that runs: the shortest ways out before anything heavy is loaded. */
import { calmAllocator } from "#actors/runtime/machine/allocator";
import type { BuildFacts } from "./home/build-facts.ts";
import { STEP_ROLE, WORKER_ROLE } from "./node/role.ts";

/** Does what the command line says and ends the process with the exit code of it. */
export async function cli(build: BuildFacts): Promise<void> {
  const argv = process.argv.slice(2);
  if (argv.length === 1 && ["version", "--version", "-V"].includes(argv[0] ?? "")) {
    process.stdout.write(`exo ${build.version} (${build.commit})\n`);
    return;
  }
  if (argv[0] === WORKER_ROLE) return await work(argv.slice(1));
  if (argv[0] === STEP_ROLE) return await step();
  // What runs for weeks; the runtime of a source tree is started with more words than these.
  if (argv.includes("serve") && build.sourceTree === undefined) calmAllocator(argv);
  const { run } = await import("./program.ts");
  process.exit(await run(build, argv));
}

/** One step of cryptography, for another process of this machine. */
async function step(): Promise<void> {
  const { stepForParent } = await import("#actors/runtime/security/steps-child");
  await stepForParent();
}

/** Becomes a shard worker: it lives as long as its channel to the parent does. */
async function work([node, parent, libraryFolder]: readonly string[]): Promise<void> {
  const { runShardWorker } = await import("#actors/shard-worker/worker-main");
  if (node === undefined || parent === undefined || libraryFolder === undefined) {
    throw new Error(`${WORKER_ROLE} takes a name, its parent's name and the library's folder`);
  }
  runShardWorker(node, parent, libraryFolder);
}
