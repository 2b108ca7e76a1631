/** How this node stands to one member: from the first dial to its death and back. Effects are named here only. */
import { setup } from "xstate";

export type PeerEvent =
  | { readonly type: "LinkUp" }
  /** The connection ended, or could not be made; `refused`: its machine answered that nobody listens. */
  | { readonly type: "LinkDown"; readonly refused: boolean }
  | { readonly type: "Heard" }
  /** Its heartbeats are missed. */
  | { readonly type: "Silent" }
  /** Its machine still answers a connection, or does not. */
  | { readonly type: "KernelAnswers" }
  | { readonly type: "KernelSilent" }
  /** Another member heard it just now: the way to it is bad, not the node. */
  | { readonly type: "HeardElsewhere" }
  | { readonly type: "Goodbye" };

const unbound = (): never => {
  throw new Error("the chart was started without effects");
};

/** From the first missed second to the verdict, in which the machine's kernel and the other members are asked. */
const CONFIRM_MS = 600;
/** A process that hangs on a living machine is given as long. */
const STUCK_MS = 10_000;
/** A process that is gone may be coming back at once: a restart, a cut that heals. */
const REDIAL_MS = 1000;

/** The verdict, or the question once more from the state that asks it. */
const unlessLate = <State extends string>(ms: number, again: State) =>
  [{ guard: { type: "late", params: { ms } }, target: again, reenter: true }, { target: "dead" }] as const;

export const peerMachine = setup({
  types: { events: {} as PeerEvent },
  actions: {
    /** Connects, and again with growing pauses until told to stop by `rest`. */
    dial: unbound,
    rest: unbound,
    /** Asks the machine's kernel whether it is there: by `KernelAnswers` or `KernelSilent`. */
    probe: unbound,
    /** Asks the other members whether they hear it. */
    ask: unbound,
    closeLinks: unbound,
    /** A wait for a verdict begins. */
    begin: unbound,
    /** Tells the others what this peer is now. */
    announce: (_, _state: { readonly state: string }) => unbound(),
  },
  guards: {
    refused: ({ event }) => event.type === "LinkDown" && event.refused,
    /** This process itself slept through the wait's end: what came meanwhile is not read yet. */
    late: (_, _wait: { readonly ms: number }) => unbound(),
  },
}).createMachine({
  id: "Peer",
  initial: "connecting",
  states: {
    connecting: {
      entry: ["dial", { type: "announce", params: { state: "connecting" } }],
      on: { LinkUp: "up", Goodbye: "away" },
    },
    up: {
      entry: ["rest", { type: "announce", params: { state: "up" } }],
      on: { Silent: "suspect", LinkDown: "lost", Goodbye: "away" },
    },
    lost: {
      entry: ["dial", "begin", { type: "announce", params: { state: "suspect" } }],
      on: { LinkUp: "up", LinkDown: { guard: "refused", target: "dead" }, Goodbye: "away" },
      after: { [REDIAL_MS]: unlessLate(REDIAL_MS, "lost") },
    },
    suspect: {
      entry: ["probe", "ask", "begin", { type: "announce", params: { state: "suspect" } }],
      on: {
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
      on: { Heard: "up", KernelAnswers: "stuck", LinkDown: "lost", Goodbye: "away" },
      after: { [CONFIRM_MS]: "suspect" },
    },
    stuck: {
      entry: ["begin", { type: "announce", params: { state: "stuck" } }],
      on: { Heard: "up", KernelSilent: "dead", LinkDown: "lost", Goodbye: "away" },
      after: { [STUCK_MS]: unlessLate(STUCK_MS, "suspect") },
    },
    dead: {
      entry: ["closeLinks", "dial", { type: "announce", params: { state: "dead" } }],
      on: { LinkUp: "up", Goodbye: "away" },
    },
    away: {
      entry: ["closeLinks", "rest", { type: "announce", params: { state: "away" } }],
      on: { LinkUp: "up", Heard: "connecting" },
    },
  },
});
