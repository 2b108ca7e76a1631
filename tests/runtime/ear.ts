/** What actors are told of passes, as text. */
import type { Address } from "#protocol/ids";
import type { ShardWorkerMessage } from "#protocol/shard-worker";
import { type Machine, turn } from "./relay-world.ts";

/** An actor of a machine that keeps what it is told, as text. */
export function ear(machine: Machine, name: string) {
  const heard: string[] = [];
  const address = machine.system.spawn<ShardWorkerMessage>(name, ({ message, body, from }) =>
    heard.push(told(message, from, body)),
  );
  const until = async (count: number) => {
    while (heard.length < count) await turn();
    return heard;
  };
  return { heard, address, until };
}

const told = (message: ShardWorkerMessage, from: Address, body: Uint8Array | undefined): string => {
  switch (message.type) {
    case "ShardWorker.Pass":
      return `${from.slice(from.indexOf("/") + 1)} ${message.number} ${digest(body)}`;
    case "ShardWorker.PassFailed":
      return message.problem.message;
    default:
      return message.type;
  }
};
export const digest = (body: Uint8Array | undefined): string =>
  body === undefined ? "none" : `${body.length} ${Bun.hash(body)}`;
export const bytes = (length: number, seed: number) =>
  new Uint8Array(length).map((_, at) => (at * 31 + (at >> 8) + seed) & 255);
