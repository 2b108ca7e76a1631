/**
 * One stage's part in its group. Passes are taken in order and from whom they are due; what is of an older epoch, comes twice or
 * leaves a gap is not computed, so that no answer is ever built on keys and values that are not its own.
 */
import type { Clock } from "#actors/runtime/clock";
import type { Sent, Tell } from "#actors/runtime/telling";
import type { Address } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { Problem, type ProblemBody, problemBody, problemOf } from "#protocol/problem";
import type { Group } from "#protocol/shard";
import { ShardWorker } from "#protocol/shard-worker";
import { type Row, sent } from "./engine/hidden-sent.ts";
import type { PassOrder } from "./engine/pipeline.ts";
import type { Ran, Stage } from "./engine/stage.ts";
import { unitsMax } from "./engine/traffic.ts";
import { type Seat, seatOf } from "./seat.ts";

export type PassMessage = ReturnType<typeof ShardWorker.Pass>;
export type PassFailed = ReturnType<typeof ShardWorker.PassFailed>;

/** A pass as it arrived. */
export interface Arrived {
  readonly pass: PassMessage;
  readonly body: Uint8Array | undefined;
  readonly from: Address;
}

interface Unsent {
  readonly to: Address;
  readonly pass: PassMessage;
  readonly body: Uint8Array | undefined;
}

export interface MemberPorts {
  readonly stage: Stage;
  readonly clock: Pick<Clock, "nowMs">;
  readonly tell: Tell;
  /** At the last stage: a pass has been through all. */
  readonly completed: (number: number, ran: Ran, tookMs: number) => void;
  /** At the last stage: how many passes are. */
  readonly underWay: () => number;
  /** At the last stage: the epoch is over since this pass failed, of what is in it where the problem is `internal`. */
  readonly parted: (problem: Problem, number: number) => void;
}

/**
 * Who drives a group begins a unit of work only while fewer than `unitsMax` are under way, and a pass of operations alone only while
 * none is: so many can be between two stages, or wait at one.
 */
const waitingMax = (stages: number): number => unitsMax(stages) + 1;

export class Member {
  readonly group: Group;
  readonly #seat: Seat;
  readonly #ports: MemberPorts;
  readonly #model: Row;
  /** Due, and not computed yet. */
  readonly #waiting: Arrived[] = [];
  /** For which there is no room on the way yet: no more than are under way at once. */
  readonly #unsent: Unsent[] = [];
  /** Of the pass that comes next. */
  #due = 0;

  constructor(group: Group, model: Row, ports: MemberPorts) {
    this.group = group;
    this.#seat = seatOf(group);
    this.#model = model;
    this.#ports = ports;
  }

  get isLast(): boolean {
    return this.group.stage === this.group.stages.length - 1;
  }

  /** From who drives to the first stage, to each of its ranks: a pass begins. */
  start(order: PassOrder): void {
    const { instance, epoch } = this.group;
    const { first, driver } = this.#seat;
    const pass = ShardWorker.Pass({ instance, epoch, ...order });
    for (const other of first) if (other !== driver) this.#send(other, pass);
    if (first.includes(driver)) this.arrived({ pass, body: undefined, from: driver });
  }

  /** Passes that wait to be computed. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** A pass came in: it is kept for `turn` if it is due, and nothing of any other is. */
  arrived(arrived: Arrived): void {
    const { pass, from } = arrived;
    if (!this.#isOurs(pass)) {
      this.#refuse(from, pass, `it is of epoch ${pass.epoch}, and this is epoch ${this.group.epoch}`);
      return;
    }
    // The one before in the row, and nobody else, has passes for this one; what came before came twice.
    if (from !== this.#seat.before || pass.number < this.#due) return;
    const most = waitingMax(this.group.stages.length);
    if (pass.number > this.#due)
      this.#refuse(this.#last, pass, `pass ${this.#due} is due, and a pass in between was lost`);
    else if (this.#waiting.length >= most)
      this.#refuse(this.#last, pass, `${most} others wait already, and no more are ever under way`);
    else {
      this.#due++;
      this.#waiting.push(arrived);
    }
  }

  /** Computes the next of those that wait, if any does. */
  turn(): void {
    const next = this.#waiting.shift();
    if (!next) return;
    const { pass, body } = next;
    try {
      this.#run(pass, body);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#refuse(
        this.#last,
        pass,
        error.message,
        this.#isRank && error.kind === "internal" ? "internal" : "unavailable",
      );
    }
  }

  /** The epoch is over: nothing that waits is computed or sent any more. */
  leave(): void {
    this.#waiting.length = 0;
    this.#unsent.length = 0;
  }

  /** A pass of this epoch was refused further on. Who refuses one that is too old may not know the last stage. */
  failed(message: PassFailed, from: Address): void {
    if (!this.#isOurs(message) || !this.group.stages.includes(from)) return;
    if (this.isLast) {
      const isNothingLost = message.lane && this.#ports.underWay() === 0;
      if (!isNothingLost) this.#ports.parted(problemOf(message.problem), message.number);
      // A rank that refuses a pass tells who drives by itself.
    } else if (!this.#isRank || !this.#seat.team.includes(from)) this.#ports.tell(this.#last, message);
  }

  /** The epoch is over, by who drives: ranks of any stage may wait for each other's part of a pass that does not come to all of them. */
  release(problem: Problem): void {
    const { instance, epoch, stages, ranks } = this.group;
    // Where there is one stage, whoever could not go on has told all of it.
    if (!ranks || this.#seat.stages === 1) return;
    const failed = ShardWorker.PassFailed({ instance, epoch, number: 0, problem: problemBody(problem) });
    for (const other of stages.slice(0, -1)) this.#ports.tell(other, failed);
  }

  #run(pass: PassMessage, body: Uint8Array | undefined): void {
    const { stage, clock, completed } = this.#ports;
    const startedMs = clock.nowMs();
    const ran = stage.run(pass, body);
    if (this.isLast) {
      completed(pass.number, ran, clock.nowMs() - startedMs);
      return;
    }
    if (this.#seat.next.length === 0) return;
    const { feeds, lost, values } = ran;
    const { hiddenType, body: hidden } = sent(values, this.#model, this.group.hidden);
    const { hiddenType: _, lost: __, ...same } = pass;
    const bare = feeds.map(({ tokens: ___, ...feed }) => feed);
    const next = ShardWorker.Pass({
      ...same,
      feeds: bare,
      hiddenType,
      ...(lost.length > 0 && { lost: [...lost] }),
    });
    for (const to of this.#seat.next) this.#send(to, next, hidden);
  }

  #send(to: Address, pass: PassMessage, body?: Uint8Array): void {
    this.#unsent.push({ to, pass, body });
    if (this.#unsent.length === 1) this.#sendOn();
  }

  /** In their order, as far as the way takes them: it goes on when there is room again. */
  #sendOn(): void {
    for (let next = this.#unsent[0]; next; next = this.#unsent[0]) {
      const sent = this.#told(next);
      if (typeof sent === "object") {
        void sent.full.then(() => this.#sendOn());
        return;
      }
      this.#unsent.shift();
    }
  }

  /** One that cannot be sent is refused. */
  #told({ to, pass, body }: Unsent): Sent {
    try {
      const sent = this.#ports.tell(to, pass, body);
      if (sent === "gone") this.#refuse(this.#last, pass, `${to} cannot be reached`);
      return sent;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#refuse(this.#last, pass, error.message);
      return "gone";
    }
  }

  #refuse(
    to: Address,
    { instance, epoch, number }: PassMessage,
    why: string,
    kind: "unavailable" | "internal" = "unavailable",
  ): void {
    const problem: ProblemBody = problemBody(
      new Problem(kind, `pass ${number} of ${instance} was refused: ${why}`),
    );
    const failed = ShardWorker.PassFailed({ instance, epoch, number, problem });
    // The other ranks wait for this one's part.
    const hearers = new Set(this.#isRank ? [...this.#seat.team, to] : [to]);
    hearers.delete(this.#seat.team[this.#seat.rank] ?? to);
    for (const hearer of hearers) this.#ports.tell(hearer, failed);
    if (this.isLast && to === this.#last) this.#ports.parted(problemOf(problem), number);
  }

  #isOurs({ instance, epoch }: { readonly instance: string; readonly epoch: number }): boolean {
    return instance === this.group.instance && epoch === this.group.epoch;
  }

  get #isRank(): boolean {
    return this.#seat.team.length > 1;
  }

  get #last(): Address {
    return this.#seat.driver;
  }
}
