/** What a worker's link takes for its exchange. */
import { expect, test } from "bun:test";
import type { ChildLink } from "#actors/runtime/transport/child";
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import { Problem, problemBody } from "#protocol/problem";
import { ShardWorker } from "#protocol/shard-worker";
import type { Exchange } from "./exchange.ts";
import { RankLink } from "./rank-link.ts";

test("a group's ranks alone can say that its pass failed", () => {
  const broke: string[] = [];
  const link = {} as ChildLink;
  const rankLink = new RankLink(link);
  rankLink.onReceive = () => {};
  const [rank, stranger] = ["a/worker-0", "x/worker-0"] as [Address, Address];
  const exchange: Pick<Exchange, "isOf" | "needs" | "broke"> = {
    isOf: () => true,
    needs: (address) => address === rank,
    broke: ({ message }) => broke.push(message),
  };
  rankLink.exchange = exchange as Exchange;
  const problem = (why: string) => problemBody(new Problem("unavailable", why));
  const failed = (from: Address): Envelope => ({
    from,
    to: "b/worker-0" as Address,
    message: ShardWorker.PassFailed({ instance: "i", epoch: 1, number: 0, problem: problem(`by ${from}`) }),
  });
  for (const from of [stranger, rank]) link.onReceive(failed(from));
  expect(broke).toEqual([`by ${rank}`]);
});
