/** The life of a model on several machines, as who leads sees it: all of its stages, or none. Effects are named here only. */
import { assign, fromPromise, setup } from "xstate";
import type { PlacedInstance } from "#protocol/placement";
import { type ProblemBody, problemBody } from "#protocol/problem";

export type PlacementEvent =
  /** Every stage is loaded. */
  | { readonly type: "Loaded" }
  /** A stage is not there, or will not be. `counts`: it is the model's or a worker's fault, and that has a budget. */
  | { readonly type: "Broken"; readonly problem: ProblemBody; readonly counts: boolean }
  /** `now` cuts answers short. */
  | { readonly type: "Drain"; readonly now: boolean };

interface Context {
  /** As the log had it when this leader began to look after it. */
  readonly found: PlacedInstance["state"];
  readonly wasReady: boolean;
  readonly now: boolean;
  readonly counts: boolean;
  readonly problem: ProblemBody;
}

const unbound = (): never => {
  throw new Error("the chart was started without effects");
};

const NONE: ProblemBody = { kind: "internal", message: "nothing is wrong" };

export const machine = setup({
  types: {
    context: {} as Context,
    events: {} as PlacementEvent,
    input: {} as { readonly found: PlacedInstance["state"] },
  },
  actors: {
    /** A placement with the next epoch; `wasReady`: fewer machines than were wished for are better than none. */
    place: fromPromise<void, { readonly wasReady: boolean; readonly problem: ProblemBody }>(unbound),
    /** Tells the workers of each other, and the home that the model can answer. */
    join: fromPromise<void>(unbound),
    /** Frees the memory of all stages, the last stage's first. */
    drain: fromPromise<void, { readonly now: boolean }>(unbound),
  },
  actions: {
    /** Looks at once how the stages are: what was told before this state counts too. */
    look: unbound,
    /** For the log: what was wrong. */
    say: (_, _problem: ProblemBody) => unbound(),
    /** Tells the home that it failed, and why. */
    fail: (_, _problem: ProblemBody) => unbound(),
    /** Tells the home that it is no more. */
    forget: unbound,
  },
  guards: {
    /** The budget still has one; asking spends it. */
    mayTryAgain: (): boolean => unbound(),
  },
  delays: {
    /** The longer, the more often it broke lately. */
    pause: (): number => unbound(),
  },
}).createMachine({
  id: "PlacedInstance",
  initial: "found",
  context: ({ input: { found } }) => ({
    found,
    wasReady: found === "ready",
    now: true,
    counts: false,
    problem: NONE,
  }),
  states: {
    found: {
      always: [
        { guard: ({ context }) => context.found === "ready", target: "working.ready" },
        { guard: ({ context }) => context.found === "draining", target: "draining" },
        { target: "working.loading" },
      ],
    },
    working: {
      initial: "loading",
      on: {
        Drain: { target: "draining", actions: assign({ now: ({ event }) => event.now }) },
        Broken: {
          target: ".degraded",
          actions: assign({
            problem: ({ event }) => event.problem,
            counts: ({ event }) => event.counts,
          }),
        },
      },
      states: {
        placing: {
          invoke: {
            src: "place",
            input: ({ context: { wasReady, problem } }) => ({ wasReady, problem }),
            onDone: "loading",
            onError: {
              target: "#PlacedInstance.failed",
              actions: assign({ problem: ({ event }) => problemBody(event.error) }),
            },
          },
          // What breaks meanwhile is seen again once the new placement is looked at.
          on: { Broken: {} },
        },
        loading: { entry: "look", on: { Loaded: "joining" } },
        joining: {
          invoke: {
            src: "join",
            onDone: "ready",
            onError: {
              target: "degraded",
              actions: assign({ problem: ({ event }) => problemBody(event.error), counts: true }),
            },
          },
        },
        ready: { entry: [assign({ wasReady: true }), "look"] },
        degraded: {
          entry: { type: "say", params: ({ context }) => context.problem },
          on: { Broken: {} },
          always: [
            { guard: ({ context }) => !context.counts, target: "placing" },
            { guard: "mayTryAgain", target: "pausing" },
            { target: "#PlacedInstance.failed" },
          ],
        },
        pausing: { on: { Broken: {} }, after: { pause: "placing" } },
      },
    },
    draining: {
      invoke: {
        src: "drain",
        input: ({ context }) => ({ now: context.now }),
        onDone: "gone",
        onError: "gone",
      },
    },
    gone: { type: "final", entry: "forget" },
    failed: {
      type: "final",
      entry: { type: "fail", params: ({ context }) => context.problem },
    },
  },
});
