/** The life of one model on this machine, from the start of its worker to its end. Effects are named here only. */
import { assign, setup } from "xstate";
import type { Address } from "#protocol/ids";
import type { ProblemBody } from "#protocol/problem";
import type { ShardFacts } from "#protocol/shard";

export type InstanceEvent =
  | { readonly type: "Loaded"; readonly facts: ShardFacts }
  | { readonly type: "LoadFailed"; readonly problem: ProblemBody }
  | { readonly type: "Exited"; readonly problem: ProblemBody }
  /** `now` cuts short what the worker is doing. */
  | { readonly type: "Stop"; readonly now: boolean }
  | { readonly type: "Drained" };

interface Context {
  readonly worker?: Address;
  readonly facts?: ShardFacts;
  readonly problem?: ProblemBody;
}

const unbound = (): never => {
  throw new Error("the chart was started without effects");
};

export const machine = setup({
  types: { context: {} as Context, events: {} as InstanceEvent },
  actions: {
    /** Starts a worker process and gives it the shard. */
    startWorker: unbound,
    /** Says `Drained` once the worker owes nothing, or has had its time. */
    drain: unbound,
    /** Ends the worker process, gently first. */
    endWorker: unbound,
    /** Tells whoever waited for the model. */
    announceReady: unbound,
    announceFailed: (_, _problem: ProblemBody) => unbound(),
    /** Tells the gateway that this worker is lost, and the requests on it need another. */
    announceLost: (_, _problem: ProblemBody) => unbound(),
    /** Tells the gateway that somebody wanted this worker's end, and so that of the requests on it. */
    announceStopped: unbound,
  },
  guards: {
    /** The restart budget still has one; asking spends it. */
    mayRestart: unbound,
    atOnce: ({ event }) => event.type === "Stop" && event.now,
  },
}).createMachine({
  id: "ModelInstance",
  initial: "loading",
  context: {},
  states: {
    loading: {
      entry: "startWorker",
      on: {
        Loaded: { target: "ready", actions: assign(({ event }) => ({ facts: event.facts })) },
        LoadFailed: {
          target: "failed",
          actions: [assign(({ event }) => ({ problem: event.problem })), "endWorker"],
        },
        Exited: { target: "failed", actions: assign(({ event }) => ({ problem: event.problem })) },
        Stop: {
          target: "stopping",
          actions: {
            type: "announceFailed",
            params: { kind: "cancelled", message: "the model was stopped while it was loading" },
          },
        },
      },
    },
    ready: {
      entry: "announceReady",
      on: {
        Exited: [
          {
            guard: "mayRestart",
            target: "loading",
            actions: { type: "announceLost", params: ({ event }) => event.problem },
          },
          {
            target: "failed",
            actions: [
              assign(({ event }) => ({ problem: event.problem })),
              { type: "announceLost", params: ({ event }) => event.problem },
            ],
          },
        ],
        Stop: [{ guard: "atOnce", target: "stopping" }, { target: "draining" }],
      },
    },
    draining: {
      entry: "drain",
      on: { Drained: "stopping", Stop: { guard: "atOnce", target: "stopping" }, Exited: "stopped" },
    },
    stopping: { entry: "endWorker", on: { Exited: "stopped" } },
    stopped: {
      type: "final",
      entry: "announceStopped",
    },
    failed: {
      type: "final",
      entry: { type: "announceFailed", params: ({ context }) => context.problem ?? unbound() },
    },
  },
});
