/** Memory that is not there: who asks for too much is told so, and everything else goes on. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { freshFolder } from "../cli/exo.ts";
import { childrenOf, run, type Server, serving, TEST_MS_MAX } from "./product.ts";
import { tinyFolder } from "./tiny-folder.ts";

setDefaultTimeout(TEST_MS_MAX);

/** Lets a process that runs take so much more memory and nothing beyond: setrlimit(2), RLIMIT_DATA. */
function limitMemory(pid: number, moreBytes: number): void {
  const [, kilobytes] = /VmData:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  const { exitCode } = Bun.spawnSync([
    "prlimit",
    `--pid=${pid}`,
    `--data=${Number(kilobytes) * 1024 + moreBytes}`,
  ]);
  expect(exitCode).toBe(0);
}

async function complete({ url }: Server, prompt: readonly number[]): Promise<unknown> {
  const answer = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "smollm2", prompt, max_tokens: 4, ignore_eos: true }),
  });
  const body: unknown = await answer.json();
  return [answer.status, body];
}

/** Token ids that begin differently for each `first`, so that no earlier prompt helps. */
const tokens = (count: number, first: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => (i === 0 ? first : 1000 + (i % 500)));

test.skipIf(!Bun.which("prlimit"))(
  "a context that outgrows the memory is refused, and the same worker answers the next request",
  async () => {
    using home = freshFolder();
    await using server = await serving(home.path, ["--model", "smollm2"]);
    const fits = [200, expect.anything()];
    expect(await complete(server, tokens(600, 1))).toEqual(fits);
    const before = childrenOf(server.pid);
    limitMemory(before[0] ?? 0, 180e6);
    expect(await complete(server, tokens(6000, 2))).toEqual([
      503,
      {
        error: {
          message: expect.stringMatching(/more tokens of context take .* and .* of memory are free/),
          type: "server_error",
          code: "no_capacity",
          param: null,
        },
      },
    ]);
    expect([await complete(server, tokens(50, 3)), childrenOf(server.pid)]).toEqual([fits, before]);
  },
);

test("weights that no memory can hold are refused before they are read", async () => {
  using home = freshFolder();
  const folder = tinyFolder(join(home.path, "huge"));
  const header = JSON.stringify({
    "model.embed_tokens.weight": { dtype: "F32", shape: [1e6, 1e6], data_offsets: [0, 4e12] },
  });
  // All of it a hole: the file takes no room.
  const file = openSync(join(folder, "model.safetensors"), "w");
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeSync(file, Buffer.concat([length, Buffer.from(header)]));
  ftruncateSync(file, 8 + header.length + 4e12);
  closeSync(file);
  const { code, out, err } = await run(["run", folder, "--raw", "hi"], { home: home.path });
  expect([code, out, err.split("\n").slice(-3)]).toEqual([
    5,
    "",
    [
      expect.stringMatching(/^✗ .*huge takes 4000 GB beside 128 MB to work in, and .* of memory are free$/),
      expect.stringContaining(
        "→ unload other models (exo stop), close other programs, or choose a smaller model",
      ),
      "",
    ],
  ]);
});
