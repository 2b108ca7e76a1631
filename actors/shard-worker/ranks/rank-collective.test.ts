/** What ranks say to each other before they compute. */
import { expect, test } from "bun:test";
import type { LostSequence } from "#protocol/pass";
import { mlx } from "../tiny-group.ts";
import type { Exchange } from "./exchange.ts";
import { Mesh } from "./mesh.ts";
import { RankCollective } from "./rank-collective.ts";

const way = {
  backend: "jaccl" as const,
  devices: [
    [null, "rdma_en2"],
    ["rdma_en2", null],
  ],
  host: "127.0.0.1",
};

/** Of an MLX without that backend, which some machine's has. */
class Missing extends Mesh {
  override get isThere(): boolean {
    return false;
  }
}

test("where the MLX of one rank has no such backend, all of them go by exo's own links", () => {
  const told: unknown[] = [];
  const collective = new RankCollective(mlx, "float32", { rank: 0, world: 2 });
  const exchange: Pick<Exchange, "swap" | "isNeeded"> = {
    isNeeded: false,
    swap(own) {
      const intent = JSON.parse(new TextDecoder().decode(own));
      told.push(intent);
      return [own, new TextEncoder().encode(JSON.stringify({ ...intent, mesh: true }))];
    },
  };
  collective.exchange = exchange as Exchange;
  collective.mesh = new Missing({ mlx, way, rank: { rank: 0, world: 2 }, patienceMs: 1_000 });
  const lost: LostSequence[] = [];
  const agreed = [collective.agree({ number: 0, lost }), collective.agree({ number: 1, lost })];
  collective.rest();
  expect([agreed, collective.mesh === undefined, told]).toEqual([
    [[], []],
    true,
    [
      { number: 0, lost: [], mesh: false },
      { number: 1, lost: [] },
    ],
  ]);
});
