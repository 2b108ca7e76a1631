/** Real workers of which ranks share stages of a pipeline, in processes of their own, with real TLS between their machines. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { World } from "../runtime/relay-world.ts";
import { exactModel, LAYERS } from "./exact-model.ts";
import { Part } from "./worker-group.ts";

const SLOWEST_MS = 240_000;
const PROMPT = {
  type: "tokens" as const,
  tokens: Array.from({ length: 300 }, (_, i) => 5 + ((i * 37) % 200)),
};
const CUT = 2;

let world: World;
let folder: string;
beforeEach(() => {
  world = new World();
  folder = mkdtempSync(join(tmpdir(), "exo-shared-"));
});
afterEach(async () => {
  await world.close();
  rmSync(folder, { recursive: true });
});

/** Two stages, of so many workers each, every one on a machine of its own. */
async function group(sizes: readonly number[]): Promise<Part[]> {
  const machines = [...(await world.two())];
  while (machines.length < sizes.reduce((sum, size) => sum + size, 0)) {
    const machine = await world.machine();
    for (const other of machines) await other.join(machine);
    machines.push(machine);
  }
  const path = exactModel(folder);
  const seats = sizes.flatMap((size, stage) =>
    Array.from({ length: size }, (_, rank) => ({ stage, rank, size })),
  );
  return await Promise.all(
    machines.map((machine, at) => {
      const { stage = 0, rank = 0, size = 1 } = seats[at] ?? {};
      const layers = stage === 0 ? { start: 0, end: CUT } : { start: CUT, end: LAYERS };
      const share = size > 1 && { rank: [rank, size] as const };
      return Part.loaded(machine, `worker-${at}`, { path, layers, ...share });
    }),
  );
}

test.each([
  [[2, 1], 1],
  [[1, 2], 0],
  [[2, 2], 2],
])(
  "stages of %j workers answer as one does, several at once as well, and who drives says it when number %i of them is lost",
  async (sizes, lost) => {
    const whole = await Part.loaded(await world.machine(), "worker-whole", { path: exactModel(folder) });
    const alone = await whole.answer("alone", PROMPT);
    const parts = await group(sizes);
    await Part.join(parts, 5, sizes);
    const last = parts.at(-1);
    if (!last) throw new Error("the last one drives");
    const one = await last.answer("one", PROMPT);
    await Part.join(parts, 6, sizes);
    const several = await Promise.all(["two", "three", "four"].map((id) => last.answer(id, PROMPT)));
    const cutOff = last.answer(
      "cut off",
      { type: "tokens", tokens: [5] },
      { maxTokens: 450, ignoreEos: true },
    );
    await last.until((reply) => ("request" in reply && reply.request === "cut off" ? true : undefined));
    parts[lost]?.worker.signal("SIGKILL");
    const parted = await last.until((reply) =>
      reply.type === "ShardWorkerReply.Parted" ? reply.epoch : undefined,
    );
    expect([one, several, parted, typeof (await cutOff)]).toEqual([
      alone,
      [alone, alone, alone],
      6,
      "string",
    ]);
  },
  SLOWEST_MS,
);
