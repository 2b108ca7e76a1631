/**
 * What the ranks of a model tell each other within a pass: each its part, all of them in the same order. Who asks waits, without a turn
 * of the event loop, because the next operation of the graph needs what comes: half a layer computes in the time of a few turns.
 */
import type { Tell } from "#actors/runtime/telling";
import type { Address } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { Group } from "#protocol/shard";
import { ShardWorker } from "#protocol/shard-worker";
import { type Seat, seatOf } from "../seat.ts";

export type ShareMessage = ReturnType<typeof ShardWorker.Share>;

export interface ExchangePorts {
  readonly tell: Tell;
  /**
   * Takes in what has come, after so many milliseconds at most: `arrived` and `broke` are called meanwhile. With 0, whoever else is ready
   * for this core has it first.
   */
  readonly take: (withinMs: number) => void;
  readonly nowMs: () => number;
}

/**
 * A rank whose part does not come in so long ends the epoch. A machine that is gone, or a worker that was stopped, is known of within
 * some ten seconds; this is for what nobody notices. Half a layer over a chunk of a prompt takes seconds on one slow core.
 */
export const PATIENCE_MS = 30_000;
/** Each wait ends so early that a clock is looked at. */
const LOOK_MS = 100;
/** A part travels in pieces of this size: two of each rank lie in what a link takes before it refuses (child.ts). */
const PIECE_BYTES = 8 * 1024 * 1024;
/** Pieces of one rank that wait here: it cannot be further than one ahead. */
const AHEAD_MAX = 2;
const NOTHING = new Uint8Array(0);

export class Exchange {
  readonly #group: Group;
  readonly #seat: Seat;
  readonly #ports: ExchangePorts;
  readonly #came: Uint8Array[][];
  /** Of pieces. */
  #sent = 0;
  readonly #heard: number[];
  #broken: Problem | undefined;
  /** A pass is computed: what is lost on the way is missed. */
  isNeeded = false;

  constructor(group: Group, ports: ExchangePorts) {
    this.#group = group;
    this.#seat = seatOf(group);
    this.#ports = ports;
    this.#came = this.#seat.team.map(() => []);
    this.#heard = this.#seat.team.map(() => 0);
  }

  /**
   * All ranks' parts, in their order: of one length where they are longer than a piece. Throws Problem where one does not come.
   */
  swap(own: Uint8Array): readonly Uint8Array[] {
    if (own.length <= PIECE_BYTES) return this.#round(own);
    const rounds: (readonly Uint8Array[])[] = [];
    for (let from = 0; from < own.length; from += PIECE_BYTES)
      rounds.push(this.#round(own.subarray(from, from + PIECE_BYTES)));
    return this.#seat.team.map((_, rank) => joined(rounds.map((pieces) => pieces[rank] ?? NOTHING)));
  }

  isOf({ instance, epoch }: { readonly instance: string; readonly epoch: number }): boolean {
    return instance === this.#group.instance && epoch === this.#group.epoch;
  }

  /** Whether parts come from there. */
  has(address: Address): boolean {
    return this.#seat.team.includes(address);
  }

  /** Whether that is one without which nothing of the model is computed. */
  needs(address: Address): boolean {
    return this.#group.stages.includes(address);
  }

  /** The body is kept. */
  arrived(message: ShareMessage, from: Address, body: Uint8Array | undefined): void {
    const rank = this.#seat.team.indexOf(from);
    if (!this.isOf(message) || rank < 0) return;
    const { instance, number } = message;
    const came = this.#came[rank];
    if (number !== this.#heard[rank] || !came || came.length >= AHEAD_MAX) {
      this.broke(new Problem("unavailable", `a part of rank ${rank} of ${instance} was lost on the way`));
      return;
    }
    this.#heard[rank] = number + 1;
    came.push(body ?? NOTHING);
  }

  /** Nothing is waited for any more. */
  broke(problem: Problem): void {
    this.#broken ??= problem;
  }

  /** One piece of each rank. */
  #round(piece: Uint8Array): readonly Uint8Array[] {
    const { instance, epoch } = this.#group;
    const { team, rank: own } = this.#seat;
    const deadlineMs = this.#ports.nowMs() + PATIENCE_MS;
    const message = ShardWorker.Share({ instance, epoch, number: this.#sent++ });
    for (const [rank, to] of team.entries()) {
      if (rank === own) continue;
      for (let sent = this.#ports.tell(to, message, piece); sent !== "taken"; ) {
        if (sent === "gone") this.broke(new Problem("unavailable", `${to} cannot be reached`));
        this.#wait(deadlineMs, rank);
        sent = this.#ports.tell(to, message, piece);
      }
    }
    // On a machine of one core the process that carries the piece has to have it before this one goes on with parts that are there
    // already. Else the piece lies until this one waits, the other rank waits for it, and the two compute in turns, not at once.
    this.#ports.take(0);
    return team.map((_, rank) => {
      if (rank === own) return piece;
      while (this.#came[rank]?.length === 0) this.#wait(deadlineMs, rank);
      return this.#came[rank]?.shift() ?? NOTHING;
    });
  }

  #wait(deadlineMs: number, rank: number): void {
    if (this.#broken) throw this.#broken;
    if (this.#ports.nowMs() > deadlineMs) {
      const waited = `rank ${rank} of ${this.#seat.team.length} of ${this.#group.instance} sent nothing for ${PATIENCE_MS / 1000} s`;
      this.#broken = new Problem("unavailable", waited, { remedy: "ask again: the model is placed anew" });
      throw this.#broken;
    }
    this.#ports.take(LOOK_MS);
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
