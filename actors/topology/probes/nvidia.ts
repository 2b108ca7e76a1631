/** NVIDIA's accelerators as its own tool lists them (`nvidia-smi --help-query-gpu`); none where there is no such tool. */
import type { Accelerator } from "#protocol/node";
import type { Machine } from "./machine.ts";

const QUERY = ["--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"];
const MEBIBYTE = 1024 * 1024;

export const nvidiaAccelerators = async ({ run }: Pick<Machine, "run">): Promise<Accelerator[]> =>
  parseNvidia((await run("nvidia-smi", QUERY)) ?? "");

/** One device a line; a name may hold a comma, and a figure that the driver does not give is `[N/A]`. */
export function parseNvidia(text: string): Accelerator[] {
  return text.split("\n").flatMap((line) => {
    const [, name, total, free] = /^(.+?), *(\d+), *(\d+|\[[^\]]*\])\s*$/.exec(line) ?? [];
    if (name === undefined || total === undefined) return [];
    const freeMebibytes = Number(free);
    return [
      {
        kind: "cuda" as const,
        name: name.trim(),
        memoryBytes: Number(total) * MEBIBYTE,
        ...(Number.isFinite(freeMebibytes) && { freeBytes: freeMebibytes * MEBIBYTE }),
      },
    ];
  });
}
