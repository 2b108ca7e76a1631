/** The life of a model on several machines, as who leads sees it: all of its stages, or none. Effects are named here only. */
import { and, assign, fromPromise, setup } from "xstate";
import type { PlacedInstance } from "#protocol/placement";
import { type Problem, type ProblemBody, problemBody } from "#protocol/problem";

export type PlacementEvent =
  /** Every stage is loaded. */
  | { readonly type: "Loaded" }
  /** The home says that it can answer. */
  | { readonly type: "Ready" }
  /** The home says something else of it than what was done here last: a leader before this one had begun that. */
  | { readonly type: "Moved" }
  /**
   * A stage is not there, or will not be. `counts`: it is the model's or a worker's fault, and that has a budget. `computes`: it
   * answers, and one of its machines is only to do nothing new.
   */
  | {
      readonly type: "Broken";
      readonly problem: ProblemBody;
      readonly counts: boolean;
      readonly computes: boolean;
    }
  /** `now` cuts answers short. */
  | { readonly type: "Drain"; readonly now: boolean };

interface Context {
  readonly now: boolean;
  readonly counts: boolean;
  readonly computes: boolean;
  readonly problem: ProblemBody;
}

/** The home did not agree to it, or not in time: what it says of the model is looked at anew. No fault of the model. */
export class NotAgreed extends Error {
  constructor(cause: Problem) {
    super(cause.message, { cause });
  }
}

const unbound = (): never => {
  throw new Error("the chart was started without effects");
};

const causeOf = (error: unknown): ProblemBody =>
  problemBody(error instanceof NotAgreed ? error.cause : error);

const NONE: ProblemBody = { kind: "internal", message: "nothing is wrong" };
/** A majority that did not answer in ten seconds, or a leader before this one, has the last word soon. */
const AGAIN_MS = 1_000;

export const machine = setup({
  types: { context: {} as Context, events: {} as PlacementEvent },
  actors: {
    /** A placement with the next epoch. */
    place: fromPromise<void, { readonly problem: ProblemBody }>(unbound),
    /** Tells the workers of each other, and the home that the model can answer. */
    join: fromPromise<void>(unbound),
    /** Has the home agree that it takes no more requests. */
    drain: fromPromise<void>(unbound),
    /** Frees the memory of all stages, the last stage's first. */
    end: fromPromise<void, { readonly now: boolean }>(unbound),
    /** Tells the home that it failed, and why. */
    fail: fromPromise<void, { readonly problem: ProblemBody }>(unbound),
    /** Tells the home that it is no more. */
    forget: fromPromise<void>(unbound),
  },
  actions: {
    /** What the home says now is what is looked after. */
    adopt: unbound,
    /** Looks at once how the stages are: what was told before this state counts too. */
    look: unbound,
    /** For the log: what was wrong. */
    say: (_, _problem: ProblemBody) => unbound(),
    /** For the log: why it is stopped once its answers have ended. */
    sayLeaving: (_, _problem: ProblemBody) => unbound(),
    /** For the log: why its workers are told of each other again. */
    sayUnmet: (_, _problem: ProblemBody) => unbound(),
    /** Who wanted its end is told that the home did not agree. */
    refuse: (_, _problem: ProblemBody) => unbound(),
  },
  guards: {
    /** The budget still has one; asking spends it. */
    mayTryAgain: (): boolean => unbound(),
    /** Its workers may be told of each other again where they are. */
    mayMeetLater: (): boolean => unbound(),
    /** They did not meet for long, and may be placed anew; asking spends it. */
    mayMeetElsewhere: (): boolean => unbound(),
    /** Of the home, now. */
    says: (_, _state: PlacedInstance["state"]): boolean => unbound(),
    /** A link that is lost just now, a machine that hears of another leader: no fault of the workers that were to meet. */
    isElsewhere: ({ event }) =>
      "error" in event && !["invalid", "internal"].includes(problemBody(event.error).kind),
    isNotAgreed: ({ event }) => "error" in event && event.error instanceof NotAgreed,
  },
  delays: {
    /** The longer, the more often it broke lately. */
    pause: (): number => unbound(),
  },
}).createMachine({
  id: "PlacedInstance",
  initial: "found",
  context: { now: true, counts: false, computes: false, problem: NONE },
  states: {
    found: {
      entry: "adopt",
      always: [
        { guard: { type: "says", params: "ready" }, target: "working.ready" },
        { guard: { type: "says", params: "loading" }, target: "working.loading" },
        { guard: { type: "says", params: "draining" }, target: "ending" },
        { target: "over" },
      ],
    },
    working: {
      initial: "loading",
      on: {
        Drain: { target: "draining", actions: assign({ now: ({ event }) => event.now }) },
        Moved: "found",
        Broken: {
          target: ".degraded",
          actions: assign({
            problem: ({ event }) => event.problem,
            counts: ({ event }) => event.counts,
            computes: ({ event }) => event.computes,
          }),
        },
      },
      states: {
        placing: {
          invoke: {
            src: "place",
            input: ({ context: { problem } }) => ({ problem }),
            onDone: "loading",
            onError: [
              { guard: "isNotAgreed", target: "#PlacedInstance.unsure" },
              {
                guard: ({ context }) => context.computes,
                target: "#PlacedInstance.draining",
                actions: [
                  { type: "sayLeaving", params: ({ event }) => problemBody(event.error) },
                  assign({ now: false }),
                ],
              },
              {
                target: "#PlacedInstance.failing",
                actions: assign({ problem: ({ event }) => problemBody(event.error) }),
              },
            ],
          },
          // What breaks meanwhile is seen again once the new placement is looked at.
          on: { Broken: {}, Moved: {} },
        },
        loading: { entry: "look", on: { Loaded: "joining", Ready: "ready" } },
        joining: {
          invoke: {
            src: "join",
            onDone: "ready",
            onError: [
              { guard: "isNotAgreed", target: "#PlacedInstance.unsure" },
              // What is loaded stays: a machine that is lost, or a worker that ended, is seen by the looks at them.
              {
                guard: and(["isElsewhere", "mayMeetLater"]),
                target: "#PlacedInstance.unsure",
                actions: { type: "sayUnmet", params: ({ event }) => problemBody(event.error) },
              },
              {
                guard: and(["isElsewhere", "mayMeetElsewhere"]),
                target: "degraded",
                actions: assign({ problem: ({ event }) => problemBody(event.error), counts: false }),
              },
              {
                guard: "isElsewhere",
                target: "#PlacedInstance.failing",
                actions: assign({ problem: ({ event }) => problemBody(event.error) }),
              },
              {
                target: "degraded",
                actions: assign({ problem: ({ event }) => problemBody(event.error), counts: true }),
              },
            ],
          },
          on: { Ready: "ready" },
        },
        ready: { entry: "look" },
        degraded: {
          entry: { type: "say", params: ({ context }) => context.problem },
          on: { Broken: {} },
          always: [
            { guard: ({ context }) => !context.counts, target: "placing" },
            { guard: "mayTryAgain", target: "pausing" },
            { target: "#PlacedInstance.failing" },
          ],
        },
        pausing: { on: { Broken: {} }, after: { pause: "placing" } },
      },
    },
    /** What was begun may still come into force. */
    unsure: {
      on: { Drain: { target: "draining", actions: assign({ now: ({ event }) => event.now }) } },
      after: { [AGAIN_MS]: "found" },
    },
    failing: {
      invoke: {
        src: "fail",
        input: ({ context: { problem } }) => ({ problem }),
        onDone: "over",
        onError: "unsure",
      },
    },
    draining: {
      invoke: {
        src: "drain",
        onDone: "ending",
        onError: {
          target: "unsure",
          actions: { type: "refuse", params: ({ event }) => causeOf(event.error) },
        },
      },
    },
    ending: {
      invoke: {
        src: "end",
        input: ({ context: { now } }) => ({ now }),
        onDone: "forgetting",
        onError: "forgetting",
      },
      on: {
        Drain: {
          guard: ({ context, event }) => event.now && !context.now,
          target: "ending",
          reenter: true,
          actions: assign({ now: true }),
        },
      },
    },
    forgetting: { invoke: { src: "forget", onDone: "over", onError: "unsure" } },
    over: { type: "final" },
  },
});
