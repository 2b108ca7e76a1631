/** A worker's engine, whose group has changed or could not be met. */
import { expect, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import { createHost } from "#actors/shard-worker/host";
import { builtFolder } from "#ffi/built-library";
import type { Address, RequestId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import recorded from "../parity/recorded/smollm2.json";

const PATH = `${import.meta.dir}/../../.cache/models/smollm2/${recorded.file}`;
const stages = ["a/worker-0", "b/worker-0", "c/worker-0"] as Address[];

function whyOf(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof Problem) return error.message;
    throw error;
  }
}

test("a group whose ranks cannot be met is not joined: who asks is refused, and does not wait for it", async () => {
  const crash = (error: unknown) => {
    throw error;
  };
  const host = createHost({ libraryFolder: builtFolder, clock: systemClock, crash });
  const told = { progress: () => {}, paced: () => {} };
  await host.load(
    { model: "m", path: PATH, contextLength: 64, rank: 2, world: 3 },
    told,
    new AbortController().signal,
  );
  const group = { instance: "m", epoch: 1, stages, stage: 2, ranks: [3] };
  const asked = {
    id: "r" as RequestId,
    model: "m",
    prompt: { type: "tokens" as const, tokens: [1, 2, 3] },
    sampling: {},
    stop: [],
    maxTokens: 4,
  };
  const sink = { delta: () => {}, failed: () => {} };
  const why = [whyOf(() => host.join(group, () => {})), whyOf(() => host.submit(asked, sink))];
  host.release();
  expect(why).toEqual([
    "this worker has no way to other ranks",
    "this worker holds layers 0 to 30 of 30 and is not the last of a group",
  ]);
});
