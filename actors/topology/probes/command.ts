/** Runs a command of the system for what it prints. Nothing it does or leaves undone is a failure here: the fact is left out. */
import { environmentOfChildren } from "#actors/runtime/machine/allocator";

/** `system_profiler` needs some seconds on a machine with many devices. */
const DEADLINE_MS = 15_000;
/** The largest answer that is asked for, all devices of a Mac, stays far below. */
const OUTPUT_BYTES_MAX = 1024 * 1024;

/** What it wrote to stdout; undefined where it is missing, ends with another code than 0, is late or says too much. */
export async function runCommand(
  command: string,
  args: readonly string[],
  limits: { readonly deadlineMs?: number; readonly outputBytesMax?: number } = {},
): Promise<string | undefined> {
  const { deadlineMs = DEADLINE_MS, outputBytesMax = OUTPUT_BYTES_MAX } = limits;
  const path = Bun.which(command);
  if (path === null) return undefined;
  try {
    const child = Bun.spawn([path, ...args], {
      env: environmentOfChildren(),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      timeout: deadlineMs,
      killSignal: "SIGKILL",
      maxBuffer: outputBytesMax,
    });
    const text = await new Response(child.stdout).text();
    const code = await child.exited;
    return code === 0 && text.length <= outputBytesMax ? text : undefined;
  } catch {
    return undefined; // Not to be executed here: as good as missing.
  }
}
