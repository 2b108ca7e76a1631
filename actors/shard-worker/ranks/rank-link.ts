/** A worker's link to its parent as a rank uses it: parts of sums go to the exchange as they come, all else to the actor system. */
import type { ChildLink } from "#actors/runtime/transport/child";
import type { Transport } from "#actors/runtime/transport/transport";
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import { Problem, problemOf } from "#protocol/problem";
import type { RuntimeMessage } from "#protocol/runtime";
import type { ShardWorkerMessage } from "#protocol/shard-worker";
import type { Exchange } from "./exchange.ts";

export class RankLink implements Transport {
  /** Of the group joined last. */
  exchange: Exchange | undefined;
  readonly #link: ChildLink;

  constructor(link: ChildLink) {
    this.#link = link;
  }

  /** Takes what comes within so many milliseconds, without a turn of the event loop. */
  take(withinMs: number, waitFor: Parameters<ChildLink["takeWithin"]>[1]): void {
    this.#link.takeWithin(withinMs, waitFor);
  }

  send(envelope: Envelope, isLent?: boolean): boolean {
    return this.#link.send(envelope, isLent);
  }
  pause(): void {
    this.#link.pause();
  }
  resume(): void {
    this.#link.resume();
  }
  close(): void {
    this.#link.close();
  }
  set onReceive(receive: Transport["onReceive"]) {
    this.#link.onReceive = (envelope, isLent) => {
      if (!this.#heard(envelope)) receive(envelope, isLent);
    };
  }
  set onClose(closed: Transport["onClose"]) {
    this.#link.onClose = closed;
  }
  set onDrain(drained: () => void) {
    this.#link.onDrain = drained;
  }

  /** Whether it was for the exchange alone. Who waits for a rank hears at once that it is gone; everybody else in its turn. */
  #heard({ message: said, from, body }: Envelope): boolean {
    const message = said as ShardWorkerMessage | RuntimeMessage;
    switch (message.type) {
      case "ShardWorker.Share":
        this.exchange?.arrived(message, from, body && new Uint8Array(body));
        return true;
      case "ShardWorker.PassFailed":
        if (this.exchange?.isOf(message) && this.#ends(from, message.lane))
          this.exchange.broke(problemOf(message.problem));
        return false;
      case "Runtime.Down":
        if (this.#ends(message.actor, message.lane))
          this.exchange?.broke(
            new Problem("unavailable", `a machine that computes this model was lost: ${message.why}`),
          );
        return false;
      default:
        return false;
    }
  }

  /** Whether nothing is computed any more without that one; or, where only a way for tensors broke, just now. */
  #ends(one: Address, lane: boolean | undefined): boolean {
    const { exchange } = this;
    if (!exchange) return false;
    return lane ? exchange.has(one) && exchange.isNeeded : exchange.needs(one);
  }
}
