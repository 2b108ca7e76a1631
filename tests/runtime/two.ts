/** Two nodes joined by bytes, on virtual time. */
import { ActorSystem } from "#actors/runtime/system";
import { Trace } from "#actors/runtime/trace";
import type { Transport } from "#actors/runtime/transport/transport";
import { decode, encode } from "#protocol/codec";
import type { AnyMessage } from "#protocol/message";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";

export class Two {
  readonly time = new VirtualTime();
  readonly trace: Trace;
  readonly left: ActorSystem;
  readonly right: ActorSystem;

  constructor() {
    this.trace = new Trace({ nowMs: () => this.time.nowMs, digest: true });
    const clock = this.time.clock(seeded(1));
    this.left = new ActorSystem("left", clock, { yieldTo: queueMicrotask, trace: this.trace });
    this.right = new ActorSystem("right", clock, { yieldTo: queueMicrotask });
    this.join();
  }

  /** Joins both by bytes, as a socket does, with 1 ms on the way. */
  join(): void {
    const ends: [Transport, Transport] = [this.#end(() => ends[1]), this.#end(() => ends[0])];
    this.left.connect("right", ends[0]);
    this.right.connect("left", ends[1]);
  }

  #end(other: () => Transport): Transport {
    const send: Transport["send"] = (envelope) => {
      const bytes = encode(envelope);
      this.time.after(1, () => other().onReceive(decode(bytes)));
      return true;
    };
    return { send, onReceive: () => {}, onClose: () => {}, close: () => {} };
  }

  part(): void {
    this.left.disconnect("right", "the cable was pulled");
    this.right.disconnect("left");
  }
}

/** An actor of `system` that keeps what it is told. */
export function listener(system: ActorSystem, name: string) {
  const heard: AnyMessage[] = [];
  return { heard, address: system.spawn(name, ({ message }) => heard.push(message)) };
}
