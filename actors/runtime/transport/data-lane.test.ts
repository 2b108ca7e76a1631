import { expect, test } from "bun:test";
import type { Envelope } from "#protocol/codec";
import type { Address, NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { ShardWorker } from "#protocol/shard-worker";
import { systemClock } from "../clock.ts";
import { DataLane } from "./data-lane.ts";
import type { Link } from "./network.ts";

/** A link that another node dialled, played by a list. */
class Dialled implements Link {
  readonly peer = { node: "far" as NodeId, boot: "", minor: 0, capabilities: [] };
  readonly lane = "data";
  readonly remote = { host: "", port: 0 };
  readonly dialled = false;
  readonly waitingBytes = 0;
  onReceive: (envelope: Envelope) => void = () => {};
  onBody: (envelope: Envelope, body: Uint8Array) => void = () => {};
  onClose: (reason: string) => void = () => {};
  onDrain: () => void = () => {};
  isOpen = true;
  readonly sent: Envelope[] = [];
  send(envelope: Envelope): boolean {
    this.sent.push(envelope);
    return true;
  }
  sendBody(envelope: Envelope, body: Uint8Array): boolean {
    if (body.length > 4) throw new ProtocolError("a body is over the limit of its link");
    return this.send(envelope);
  }
  pause(): void {}
  resume(): void {}
  close(): void {
    this.isOpen = false;
  }
}

function lane() {
  const { promise, resolve } = Promise.withResolvers<Link>();
  const made = new DataLane({
    name: "far",
    clock: systemClock,
    dial: () => promise,
    refusal: () => undefined,
    isStray: () => false,
  });
  const lost: string[] = [];
  made.onClose = (why) => lost.push(why);
  return { lane: made, lost, dialled: resolve };
}
const pass = (number: number, body?: Uint8Array): Envelope => ({
  to: "far/worker-x" as Address,
  from: "home/worker-y" as Address,
  message: ShardWorker.Pass({ instance: "i", epoch: 1, number, ops: [], feeds: [], wanted: "last" }),
  ...(body && { body }),
});

test("a lane keeps two links at most, and that by which it sends, whatever the other node opens", () => {
  const { lane: made, lost } = lane();
  const links = Array.from({ length: 20 }, () => new Dialled());
  for (const link of links) made.accept(link);
  made.send(pass(0));
  expect({
    open: links.flatMap(({ isOpen }, at) => (isOpen ? [at] : [])),
    sent: links.flatMap(({ sent }, at) => (sent.length > 0 ? [at] : [])),
    lost: [lost.length, lost[0]],
  }).toEqual({
    open: [0, 19],
    sent: [0],
    lost: [18, "the link for tensors to far broke: newer ones are open"],
  });
  made.close();
});

test("what waited for its link and is too long for it is told as lost, and the rest goes", async () => {
  const { lane: made, lost, dialled } = lane();
  for (const [number, size] of [2, 9, 3].entries()) made.send(pass(number, new Uint8Array(size)));
  const link = new Dialled();
  dialled(link);
  while (link.sent.length < 2) await new Promise<void>((resolve) => setImmediate(resolve));
  expect({ sent: link.sent.map(({ body }) => body?.length), lost }).toEqual({
    sent: [2, 3],
    lost: ["something for far was lost: a body is over the limit of its link"],
  });
  made.close();
});
