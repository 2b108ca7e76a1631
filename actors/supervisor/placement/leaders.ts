/** Questions to who leads the home, whichever machine that is by the time of the answer. */
import type { NodeId } from "#protocol/ids";
import type { PlacementReply } from "#protocol/placement";
import { Problem, problemOf } from "#protocol/problem";
import type { Agreed } from "../cluster/agreed.ts";
import { isNotLeading, notLeading } from "../cluster/replica.ts";
import { ifProblem, unreached } from "./refusals.ts";
import { type Around, change, unless, until } from "./until.ts";

export interface LeadersPorts extends Around {
  readonly agreed: () => Agreed;
  /** Machines that are there, by what this one hears of them; this one is. */
  readonly isUp: (node: NodeId) => boolean;
}

/** Two elections: by then a majority is not there. */
export const LEADER_MS = 10_000;
/** Machines that have far too much to do may elect again and again, each time before anything is decided. */
const ASKED_MS = 5 * 60_000;

export class Leaders {
  readonly #ports: LeadersPorts;

  constructor(ports: LeadersPorts) {
    this.#ports = ports;
  }

  /** Undefined where nobody leads, or who does is not there. */
  get now(): NodeId | undefined {
    const { agreed, isUp } = this.#ports;
    const { leader } = agreed();
    return leader && isUp(leader) ? leader : undefined;
  }

  /**
   * Asks who leads, and asks again where that changes meanwhile: a question may be asked twice. To decide may take longer than to
   * elect, so that the patience with whoever leads no more begins with that answer, anew for each term in which it was asked. Throws Problem.
   */
  async answer(ask: (leader: NodeId) => Promise<PlacementReply>): Promise<PlacementReply> {
    const { clock, agreed } = this.#ports;
    const untilMs = clock.nowMs() + ASKED_MS;
    let refused = { term: Number.NaN, untilMs };
    for (;;) {
      const leader = await this.#found();
      const { term } = agreed();
      const isDeposed = () => ![leader, undefined].includes(agreed().leader);
      const answer = (await unless(this.#ports, ask(leader).catch(unreached), isDeposed)) ?? notLeading();
      if (!(answer instanceof Problem) && answer.type !== "PlacementReply.Refused") return answer;
      const problem = answer instanceof Problem ? answer : problemOf(answer.problem);
      if (problem !== answer && !isNotLeading(problem)) throw problem;
      const nowMs = clock.nowMs();
      if (term !== refused.term) refused = { term, untilMs: Math.min(nowMs + LEADER_MS, untilMs) };
      if (nowMs > refused.untilMs) throw problem;
      await change(this.#ports);
    }
  }

  /** As `answer`, of who leads now and that once; undefined where nobody does, or says no, or who does is another before it answers. */
  async once(ask: (leader: NodeId) => Promise<PlacementReply>): Promise<PlacementReply | undefined> {
    const leader = this.now;
    if (!leader) return undefined;
    const isOther = () => this.now !== leader;
    const answer = await unless(this.#ports, ask(leader).catch(ifProblem), isOther);
    return answer?.type === "PlacementReply.Refused" ? undefined : answer;
  }

  async #found(): Promise<NodeId> {
    await until(this.#ports, () => this.now !== undefined, LEADER_MS);
    const leader = this.now;
    if (leader) return leader;
    throw new Problem("unavailable", "no machine leads this home now: too few of those that vote are up", {
      remedy: "start the others (exo nodes shows which vote)",
    });
  }
}
