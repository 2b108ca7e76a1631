/** One rank of a test, in a process of its own as it may hang: `bun rank-process.ts JSON`. Says on stdout what it summed, line by line. */

import { Mesh } from "#actors/shard-worker/ranks/mesh";
import { builtMlx } from "#ffi/built-library";
import { MlxGroup } from "#ffi/collectives";
import type { GroupWay } from "#protocol/collective";

export interface RankArguments {
  readonly rank: number;
  readonly world: number;
  readonly patienceMs: number;
  /** Where the first rank of a mesh listens. */
  readonly port: number;
  /** By rank: where MLX's ring listens; absent: by jaccl with `way`. */
  readonly ring?: string;
  readonly way: GroupWay;
  /** Rows of what is summed. */
  readonly rows: readonly number[];
  /** It computes nothing more once all have met. */
  readonly silent: boolean;
}

const WIDTH = 96;

const { rank, world, patienceMs, port, ring, way, rows, silent }: RankArguments = JSON.parse(
  Bun.argv[2] ?? "",
);
const mlx = builtMlx();
const of = { rank, world };
// Before anybody's patience counts: the others may be started much later.
const met =
  ring === undefined
    ? undefined
    : new MlxGroup(mlx, { ...of, backend: "ring", settings: { MLX_RANK: `${rank}`, MLX_HOSTFILE: ring } });
const mesh = new Mesh({ mlx, way, rank: of, patienceMs, ...(met && { made: () => met }) });
mesh.begin(port);
if (silent) {
  mesh.rest();
  console.log("met");
  setInterval(() => {}, 1_000);
} else {
  for (const count of rows) console.log(JSON.stringify(summed(count)));
  mesh.rest();
  mesh.close();
}

/** The sum of values that differ by rank, and where the first and the last value of each rank came in what was gathered. */
function summed(count: number) {
  const parts = Array.from({ length: world }, (_, by) =>
    Float32Array.from({ length: count * WIDTH }, (__, i) => (i + 1) / (by + 3)),
  );
  const part = (by: number) => parts[by] ?? new Float32Array();
  return mlx.scope(() => {
    const own = mlx.fromFloat32(part(rank), [1, count, WIDTH]);
    // Of eight rows and fewer it is still to be computed.
    const sums = mesh.sum(own).toFloat32();
    const gathered = mesh.gather(own);
    const all = gathered.toFloat32();
    const expected = part(0).map((_, i) =>
      Array.from({ length: world }, (__, by) => part(by)[i] ?? 0).reduce((sum, each) =>
        Math.fround(sum + each),
      ),
    );
    const isRow = (row: number, by: number) =>
      all[(row * world + by) * WIDTH] === part(by)[row * WIDTH] &&
      all[(row * world + by + 1) * WIDTH - 1] === part(by)[(row + 1) * WIDTH - 1];
    const places = Array.from({ length: count }, (_, row) => row).every((row) =>
      Array.from({ length: world }, (__, by) => isRow(row, by)).every(Boolean),
    );
    return {
      rank,
      count,
      shape: gathered.shape,
      off: furthest(sums, expected),
      places,
      hash: Bun.hash(sums).toString(36),
    };
  });
}

/** In units of the expected value. */
function furthest(values: Float32Array, expected: Float32Array): number {
  let most = values.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  for (const [i, value] of values.entries()) {
    const right = expected[i] ?? 0;
    most = Math.max(most, Math.abs(value - right) / right);
  }
  return most;
}
