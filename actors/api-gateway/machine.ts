/** The life of one request in the gateway. Text does not pass through here: only the edges do. */
import { assign, setup } from "xstate";
import type { Address } from "#protocol/ids";
import type { ProblemBody } from "#protocol/problem";

export type RequestEvent =
  | { readonly type: "Acquired"; readonly worker: Address }
  | { readonly type: "Refused"; readonly problem: ProblemBody }
  | { readonly type: "Finished" }
  | { readonly type: "Failed"; readonly problem: ProblemBody }
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
    /** Sends the generation to its worker. */
    generate: (_, _to: { worker: Address }) => unbound(),
    /** Tells the worker to stop working on it. */
    cancel: (_, _at: { worker: Address | undefined }) => unbound(),
    /** Ends the stream of deltas with this problem. */
    fail: (_, _problem: ProblemBody) => unbound(),
    /** Ends the stream of deltas. */
    close: unbound,
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
        Refused: { target: "failed", actions: { type: "fail", params: ({ event }) => event.problem } },
        Abandoned: "abandoned",
      },
    },
    generating: {
      entry: { type: "generate", params: ({ context }) => ({ worker: context.worker ?? unbound() }) },
      on: {
        Finished: "finished",
        Failed: { target: "failed", actions: { type: "fail", params: ({ event }) => event.problem } },
        Abandoned: {
          target: "abandoned",
          actions: { type: "cancel", params: ({ context }) => ({ worker: context.worker }) },
        },
      },
    },
    finished: { type: "final", entry: "close" },
    failed: { type: "final" },
    abandoned: { type: "final", entry: "close" },
  },
});
