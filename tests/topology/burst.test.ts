/** A burst over links of every speed: what it finds, how long it takes, and how much it leaves behind. */
import { expect, test } from "bun:test";
import type { Link } from "#actors/runtime/transport/network";
import { BURST_BYTES_MAX, BURST_MS, BurstCount, sendBurst } from "#actors/topology/burst";
import type { Address } from "#protocol/ids";
import { VirtualTime } from "../sim/time.ts";

/** What a kernel takes before a socket says that it is full. */
const KERNEL_BYTES = 256 * 1024;
const TICK_MS = 0.25;

/** A link that carries so much, and tells the counter when each part has come whole. */
function linkOf(time: VirtualTime, bytesPerMs: number, count: BurstCount) {
  const parts: number[] = [];
  let queued = 0;
  let carried = 0;
  const carry = () => {
    const step = Math.min(queued, bytesPerMs * TICK_MS);
    queued -= step;
    carried += step;
    for (let [first] = parts; first !== undefined && carried >= first; [first] = parts) {
      parts.shift();
      carried -= first;
      count.add(first, time.nowMs);
    }
    time.after(TICK_MS, carry);
  };
  carry();
  const link = {
    get waitingBytes() {
      return Math.max(0, queued - KERNEL_BYTES);
    },
    sendBody(_: unknown, body: Uint8Array) {
      parts.push(body.length);
      queued += body.length;
      return true;
    },
    close: () => {},
  };
  return { link: link as unknown as Link, backlog: () => link.waitingBytes };
}

const to = "b/topology" as Address;

test.each([
  ["2 Mbit/s", 250],
  ["50 Mbit/s", 6250],
  ["1 Gbit/s", 125_000],
  ["10 Gbit/s", 1_250_000],
] as const)(
  "a link of %s is found to be one, within its time, and left with little",
  async (_, bytesPerMs) => {
    const time = new VirtualTime();
    const count = new BurstCount();
    const { link, backlog } = linkOf(time, bytesPerMs, count);
    let endedMs: number | undefined;
    void sendBurst({ clock: time.clock(() => 0), link }, { burst: "x", from: to, to }).then(() => {
      endedMs = time.nowMs;
    });
    await time.pass(BURST_MS + 5);
    const { bytesPerSecond = 0 } = count;
    expect({
      ended: endedMs !== undefined && endedMs <= BURST_MS + 2,
      right: Math.abs(bytesPerSecond / (1000 * bytesPerMs) - 1) < 0.35,
      backlog: backlog() <= Math.max(288 * 1024, 2 * bytesPerMs),
      bounded: count.bytes <= BURST_BYTES_MAX,
    }).toEqual({ ended: true, right: true, backlog: true, bounded: true });
  },
);
