/** The life of one request in the gateway. Text does not pass through here: only the edges do. */
import { assign, setup } from "xstate";
import type { Address } from "#protocol/ids";
import type { ProblemBody } from "#protocol/problem";

export type RequestEvent =
  | { readonly type: "Acquired"; readonly worker: Address }
  | { readonly type: "Refused"; readonly problem: ProblemBody }
  | { readonly type: "Finished" }
  | { readonly type: "Failed"; readonly problem: ProblemBody }
  /** The worker will not end this answer, and another may. */
  | { readonly type: "Lost"; readonly problem: ProblemBody }
  | { readonly type: "Rested" }
  | { readonly type: "Abandoned" };

interface Context {
  readonly worker?: Address;
}

const unbound = (): never => {
  throw new Error("the chart was started without effects");
};

export const machine = setup({
  types: { context: {} as Context, events: {} as RequestEvent },
  actions: {
    /** Asks the Supervisor for a worker that holds the model. */
    acquire: unbound,
    /** Says that no answer to that is needed any more. */
    withdraw: unbound,
    /** Sends the generation to its worker. */
    generate: (_, _to: { worker: Address }) => unbound(),
    /** Tells the worker to stop working on it. */
    cancel: (_, _at: { worker: Address | undefined }) => unbound(),
    /** Waits a little before it asks again; `rise` ends the wait. */
    rest: unbound,
    rise: unbound,
    /** Ends the stream of deltas with this problem. */
    fail: (_, _problem: ProblemBody) => unbound(),
    /** The same, of an answer that was tried more than once. */
    giveUp: (_, _problem: ProblemBody) => unbound(),
    /** Ends the stream of deltas. */
    close: unbound,
  },
  guards: {
    /** Another worker may go on with the answer. */
    mayResume: unbound,
    /** No worker had it when it was lost: where it is to be had may not be known at once. */
    wasNowhere: unbound,
    /** The answer had begun, and the refusal may be over in a moment. */
    mayAskAgain: (_, _problem: ProblemBody) => unbound(),
    isResuming: unbound,
  },
}).createMachine({
  id: "Request",
  initial: "acquiring",
  context: {},
  states: {
    acquiring: {
      entry: "acquire",
      on: {
        Acquired: { target: "generating", actions: assign(({ event }) => ({ worker: event.worker })) },
        Refused: [
          {
            guard: { type: "mayAskAgain", params: ({ event }) => event.problem },
            target: "resting",
          },
          {
            guard: "isResuming",
            target: "failed",
            actions: { type: "giveUp", params: ({ event }) => event.problem },
          },
          { target: "failed", actions: { type: "fail", params: ({ event }) => event.problem } },
        ],
        Abandoned: { target: "abandoned", actions: "withdraw" },
      },
    },
    generating: {
      entry: { type: "generate", params: ({ context }) => ({ worker: context.worker ?? unbound() }) },
      on: {
        Finished: "finished",
        Failed: { target: "failed", actions: { type: "fail", params: ({ event }) => event.problem } },
        Lost: [
          { guard: "wasNowhere", target: "resting" },
          { guard: "mayResume", target: "acquiring" },
          { target: "failed", actions: { type: "giveUp", params: ({ event }) => event.problem } },
        ],
        Abandoned: {
          target: "abandoned",
          actions: { type: "cancel", params: ({ context }) => ({ worker: context.worker }) },
        },
      },
    },
    /** Between two workers. */
    resting: {
      entry: "rest",
      exit: "rise",
      on: { Rested: "acquiring", Abandoned: "abandoned" },
    },
    finished: { type: "final", entry: "close" },
    failed: { type: "final" },
    abandoned: { type: "final", entry: "close" },
  },
});
