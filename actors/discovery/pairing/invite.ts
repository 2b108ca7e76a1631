/** One open invite: its code, how often it may be tried, and who came in by it. */
import { type Actor, createActor } from "xstate";
import { chartClock } from "#actors/runtime/chart";
import type { Clock } from "#actors/runtime/clock";
import { type CodeKeeper, keepCode } from "#actors/runtime/security/pake";
import type { Steps } from "#actors/runtime/security/steps";
import type { NodeId } from "#protocol/ids";
import type { InviteRole, InviteState, Refusal } from "#protocol/pairing";
import type { Door } from "./host.ts";
import { INVITE_TRIES, type InviteEvent, inviteMachine } from "./invite-machine.ts";

interface Opening {
  readonly clock: Clock;
  readonly ttlMs: number;
  readonly role?: InviteRole;
  readonly steps?: Steps | undefined;
  /** Called at each step. */
  readonly changed: () => void;
  /** Nobody needs to be told of it any more. */
  readonly over: () => void;
}

export class Invite implements Door {
  readonly code: string;
  readonly role?: InviteRole;
  readonly #clock: Clock;
  readonly #keeper: CodeKeeper;
  readonly #chart: Actor<typeof inviteMachine>;

  static async open(code: string, options: Opening): Promise<Invite> {
    return new Invite(code, await keepCode(code, options.steps), options);
  }

  private constructor(code: string, keeper: CodeKeeper, { clock, ttlMs, role, changed, over }: Opening) {
    this.code = code;
    if (role) this.role = role;
    this.#clock = clock;
    this.#keeper = keeper;
    const input = { untilMs: clock.nowMs() + ttlMs, nowMs: () => clock.nowMs() };
    this.#chart = createActor(inviteMachine, { clock: chartClock(clock), input });
    this.#chart.subscribe({ next: changed, complete: over });
    this.#chart.start();
  }

  get state(): InviteState {
    const { value, context } = this.#chart.getSnapshot();
    const { triesLeft, untilMs, joined, trouble } = context;
    return {
      state: value === "pairing" ? "open" : value === "over" ? "none" : value,
      triesLeft,
      leftMs: Math.max(0, untilMs - this.#clock.nowMs()),
      ...(joined && { joined }),
      ...(trouble !== undefined && { trouble }),
    };
  }

  enter(): { readonly keeper: CodeKeeper; readonly triesLeft: number } | Refusal {
    const { value } = this.#chart.getSnapshot();
    if (value === "pairing") return "busy";
    if (value !== "open") return value === "over" ? "noInvite" : value;
    this.#tell({ type: "Tried" });
    return { keeper: this.#keeper, triesLeft: this.#chart.getSnapshot().context.triesLeft };
  }

  wrongCode(from: string): void {
    this.#tell({ type: "WrongCode", from });
  }

  cameToNothing(why: string): void {
    this.#tell({ type: "CameToNothing", why });
  }

  cameIn(who: { readonly node: NodeId; readonly name: string }, confirmed: boolean): void {
    const trouble = `${who.name} was let in and did not confirm it: unless exo nodes shows it soon, look what is said there, and invite it again, or take it off the list: exo node ${who.name} forget`;
    this.#tell({ type: "CameIn", ...who, ...(!confirmed && { trouble }) });
  }

  /** A session may outlive its invite. */
  #tell(event: InviteEvent): void {
    if (this.#chart.getSnapshot().status === "active") this.#chart.send(event);
  }

  close(): void {
    this.#tell({ type: "Close" });
  }

  stop(): void {
    this.#chart.stop();
  }
}

export const noInvite: InviteState = { state: "none", triesLeft: INVITE_TRIES, leftMs: 0 };

export const replaced: InviteState = {
  ...noInvite,
  state: "closed",
  triesLeft: 0,
  trouble: "another invite took its place",
};
