/** How this node stands to one member: from the first dial to its death and back. Effects are named here only. */
import { setup } from "xstate";
import type { NodeState } from "#protocol/cluster";
import { TWINS_MS } from "./twins.ts";

export type PeerEvent =
  | { readonly type: "LinkUp" }
  /** The connection ended. */
  | { readonly type: "LinkDown" }
  /** A dial came to nothing: its machine answered that nobody listens. */
  | { readonly type: "Refused" }
  | { readonly type: "Heard" }
  /** Its heartbeats are missed. */
  | { readonly type: "Silent" }
  /** Its machine still answers a connection, or does not. */
  | { readonly type: "KernelAnswers" }
  | { readonly type: "KernelSilent" }
  /** Another member heard it just now: the way to it is bad, not the node. */
  | { readonly type: "HeardElsewhere" }
  /** Two machines run with its identity. */
  | { readonly type: "Copied" }
  /** It says so of this one's identity, and takes no link. */
  | { readonly type: "TurnedAway" }
  | { readonly type: "Goodbye" };

/** What the chart does to the world: one for each member, so that all members share one chart. */
export interface PeerEffects {
  /** Connects, and again with growing pauses until told to stop by `rest`. */
  dial(): void;
  rest(): void;
  /** Asks the machine's kernel whether it is there: by `KernelAnswers` or `KernelSilent`. */
  probe(): void;
  /** Asks the other members whether they hear it. */
  ask(): void;
  closeLinks(): void;
  /** A wait for a verdict begins. */
  begin(): void;
  /** Tells the others what this peer is now. */
  announce(state: NodeState): void;
  /** This process itself slept through the end of a wait of so long: what came meanwhile is not read yet. */
  isLate(ms: number): boolean;
}

/** From the first missed second to the verdict, in which the machine's kernel and the other members are asked. */
const CONFIRM_MS = 600;
/** A process that hangs on a living machine is given as long. */
const STUCK_MS = 10_000;
/** A process that is gone may be coming back at once: a restart, a cut that heals. */
const REDIAL_MS = 1000;

/** Who was turned away asks again so often. */
const TURNED_AWAY_MS = 5000;

/** The verdict, or the question once more from the state that asks it. */
const unlessLate = <State extends string>(ms: number, again: State) =>
  [{ guard: { type: "late", params: { ms } }, target: again, reenter: true }, { target: "dead" }] as const;

export const peerMachine = setup({
  types: { context: {} as PeerEffects, input: {} as PeerEffects, events: {} as PeerEvent },
  actions: {
    dial: ({ context }) => context.dial(),
    rest: ({ context }) => context.rest(),
    probe: ({ context }) => context.probe(),
    ask: ({ context }) => context.ask(),
    closeLinks: ({ context }) => context.closeLinks(),
    begin: ({ context }) => context.begin(),
    announce: ({ context }, { state }: { readonly state: NodeState }) => context.announce(state),
  },
  guards: {
    late: ({ context }, { ms }: { readonly ms: number }) => context.isLate(ms),
  },
}).createMachine({
  context: ({ input }) => input,
  id: "Peer",
  initial: "connecting",
  on: { Copied: ".copied", TurnedAway: ".turnedAway" },
  states: {
    connecting: {
      entry: ["dial", { type: "announce", params: { state: "connecting" } }],
      on: { LinkUp: "up", Goodbye: "away" },
    },
    up: {
      entry: ["rest", { type: "announce", params: { state: "up" } }],
      on: { Silent: "suspect", LinkDown: "lost", Goodbye: "away" },
    },
    /** Its link ended. Whether that is its end is told by the refusal of its machine, or by nobody's hearing it any more. */
    lost: {
      entry: ["dial", { type: "announce", params: { state: "suspect" } }],
      on: { LinkUp: "up", Refused: "dead", Goodbye: "away" },
      initial: "missed",
      states: {
        missed: {
          entry: ["ask", "begin"],
          on: { HeardElsewhere: "vouched" },
          after: {
            [REDIAL_MS]: [
              { guard: { type: "late", params: { ms: REDIAL_MS } }, target: "missed", reenter: true },
              { target: "#Peer.dead" },
            ],
          },
        },
        /** Only the way to it is bad; it is dialled all the while. */
        vouched: { after: { [CONFIRM_MS]: "missed" } },
      },
    },
    suspect: {
      entry: ["probe", "ask", "begin", { type: "announce", params: { state: "suspect" } }],
      on: {
        LinkUp: "up",
        Heard: "up",
        HeardElsewhere: "vouched",
        KernelAnswers: "stuck",
        LinkDown: "lost",
        Goodbye: "away",
      },
      after: { [CONFIRM_MS]: unlessLate(CONFIRM_MS, "suspect") },
    },
    /** Suspected here, heard by others: asked again after a while only, as each answer would else cause the next question. */
    vouched: {
      on: { LinkUp: "up", Heard: "up", KernelAnswers: "stuck", LinkDown: "lost", Goodbye: "away" },
      after: { [CONFIRM_MS]: "suspect" },
    },
    /**
     * Its process hangs, or only the stream from it stands still: TCP sends again what was lost after waits that double up to minutes,
     * however well the network is by then. A process that lives answers another dial, and one that is gone is known by the refusal.
     */
    stuck: {
      entry: ["dial", "begin", { type: "announce", params: { state: "stuck" } }],
      on: {
        LinkUp: "up",
        Refused: "dead",
        Heard: "up",
        KernelSilent: "dead",
        LinkDown: "lost",
        Goodbye: "away",
      },
      after: { [STUCK_MS]: unlessLate(STUCK_MS, "suspect") },
    },
    dead: {
      entry: ["closeLinks", "dial", { type: "announce", params: { state: "dead" } }],
      on: { LinkUp: "up", Goodbye: "away" },
    },
    /** Nothing is known of which of both is right: neither has a say here until only one is left. */
    copied: {
      entry: ["closeLinks", "rest", { type: "announce", params: { state: "copied" } }],
      on: { LinkUp: "up" },
      after: { [TWINS_MS]: "connecting" },
    },
    turnedAway: {
      entry: ["closeLinks", "rest", { type: "announce", params: { state: "connecting" } }],
      on: { LinkUp: "up" },
      after: { [TURNED_AWAY_MS]: "connecting" },
    },
    away: {
      entry: ["closeLinks", "rest", { type: "announce", params: { state: "away" } }],
      on: { LinkUp: "up", Heard: "connecting" },
    },
  },
});
