/** The sums of a pass as one rank computes them: its part goes to the others as bytes, and theirs are added in the order of the ranks. */
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Dtype, Mlx, MxArray } from "#ffi/array";
import type { Collective } from "#ffi/weights";
import { LostSequence } from "#protocol/pass";
import { Problem } from "#protocol/problem";
import { hiddenTypeOf, packHidden, unpackHidden } from "../engine/hidden.ts";
import type { Exchange } from "./exchange.ts";
import type { Mesh } from "./mesh.ts";

/** Which of how many. */
export interface Rank {
  readonly rank: number;
  readonly world: number;
}

/** What ranks tell each other before they compute a pass. */
const Intent = t.Object({
  number: t.Integer(),
  lost: t.Array(LostSequence),
  /** Whether this rank's MLX has what is to add up; where one has not, exo's own links carry the parts for all. */
  mesh: t.Optional(t.Boolean()),
  /** Of the first rank of a mesh that has not met yet: where it will. */
  port: t.Optional(t.Integer({ minimum: 1, maximum: 65_535 })),
});
type Intent = Static<typeof Intent>;

export class RankCollective implements Collective {
  readonly rank: number;
  readonly world: number;
  /** With whom; until then nothing is computed, and only shapes are asked for. */
  exchange: Exchange | undefined;
  /** By what parts are added up where that is not the exchange, which then only says what all are about to compute. */
  mesh: Mesh | undefined;
  readonly #mlx: Mlx;
  readonly #dtype: Dtype;

  constructor(mlx: Mlx, dtype: Dtype, { rank, world }: Rank) {
    this.#mlx = mlx;
    this.#dtype = dtype;
    this.rank = rank;
    this.world = world;
  }

  sum(part: MxArray): MxArray {
    if (!this.exchange) return part;
    if (this.mesh) return this.mesh.sum(part);
    const [first = NOTHING, ...others] = this.#swapped(this.exchange, part);
    const sum = first.slice();
    for (const other of others) for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (other[i] ?? 0);
    return this.#made(sum, part.shape);
  }

  gather(part: MxArray): MxArray {
    if (!this.exchange)
      return part.concat(
        Array.from({ length: this.world - 1 }, () => part),
        -1,
      );
    if (this.mesh) return this.mesh.gather(part);
    const parts = this.#swapped(this.exchange, part);
    const width = part.shape.at(-1) ?? 1;
    const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    for (let row = 0; row * width * this.world < all.length; row++)
      for (const [rank, values] of parts.entries())
        all.set(values.subarray(row * width, (row + 1) * width), (row * this.world + rank) * width);
    return this.#made(all, [...part.shape.slice(0, -1), width * this.world]);
  }

  /** All ranks are about to compute this pass. Answers what any of them cannot go on with: then none of them does. */
  agree(intent: Intent): readonly LostSequence[] {
    if (!this.exchange) throw new Error("a rank computes nothing without the others");
    this.exchange.isNeeded = true;
    const port = this.mesh?.freePort();
    const mesh = this.mesh && { mesh: this.mesh.isThere };
    const own: Intent = { ...intent, ...mesh, ...(port !== undefined && { port }) };
    const told = this.exchange.swap(new TextEncoder().encode(JSON.stringify(own)));
    const intents = told.map(intentIn);
    const astray = intents.findIndex(({ number }) => number !== intent.number);
    if (astray >= 0)
      throw new Problem("unavailable", `rank ${astray} is at another pass than rank ${this.rank}`);
    if (intents.some(({ mesh }) => mesh === false)) this.part();
    this.mesh?.begin(intents[0]?.port);
    return intents.flatMap(({ lost }) => lost);
  }

  /** Its group is over. */
  part(): void {
    this.mesh?.close();
    this.mesh = undefined;
  }

  rest(): void {
    this.mesh?.rest();
    if (this.exchange) this.exchange.isNeeded = false;
  }

  #swapped(exchange: Exchange, part: MxArray): readonly Float32Array[] {
    const type = hiddenTypeOf(this.#dtype);
    const own = part.toFloat32();
    const parts = exchange.swap(packHidden(own, type));
    return parts.map((bytes, rank) => {
      const values = unpackHidden(bytes, type);
      if (values.length === own.length) return values;
      throw new Problem(
        "unavailable",
        `rank ${rank} has ${values.length} values where ${own.length} are due`,
      );
    });
  }

  #made(values: Float32Array, shape: readonly number[]): MxArray {
    const made = this.#mlx.fromFloat32(values, shape);
    return this.#dtype === "float32" ? made : made.astype(this.#dtype);
  }
}

function intentIn(bytes: Uint8Array, rank: number): Intent {
  try {
    return Value.Decode(Intent, JSON.parse(new TextDecoder().decode(bytes)));
  } catch (cause) {
    throw new Problem("unavailable", `rank ${rank} spoke nonsense`, { cause });
  }
}

const NOTHING = new Float32Array(0);
