/** The life of a ShardWorker. Effects are only named here; effects.ts does them, so this runs without a library. */
import { assign, fromPromise, setup } from "xstate";
import type { Address, RequestId } from "#protocol/ids";
import type { ShardFacts } from "#protocol/shard";
import type { ShardWorker, ShardWorkerMessage } from "#protocol/shard-worker";

/** One order to load, with the address that wants to hear of it. */
export type LoadOrder = ReturnType<typeof ShardWorker.Load>;
export type GenerateOrder = ReturnType<typeof ShardWorker.Generate>;
export type JoinOrder = ReturnType<typeof ShardWorker.Join>;
export type MeasureOrder = ReturnType<typeof ShardWorker.Measure>;

const unbound = (): never => {
  throw new Error("the chart was started without effects");
};

interface Context {
  readonly order?: LoadOrder;
}

const held = ({ order }: Context): LoadOrder => order ?? unbound();

export const machine = setup({
  types: { context: {} as Context, events: {} as ShardWorkerMessage },
  actors: { load: fromPromise<ShardFacts, LoadOrder>(unbound) },
  actions: {
    loaded: (_, _said: { order: LoadOrder; facts: ShardFacts }) => unbound(),
    loadFailed: (_, _said: { order: LoadOrder; error: unknown }) => unbound(),
    generate: (_, _order: GenerateOrder) => unbound(),
    refuseLoad: (_, _said: { order: LoadOrder; held: LoadOrder }) => unbound(),
    refuse: (_, _order: { replyTo: Address; request: RequestId }) => unbound(),
    join: (_, _order: JoinOrder) => unbound(),
    refuseJoin: (_, _order: JoinOrder) => unbound(),
    measure: (_, _said: { order: MeasureOrder; held: LoadOrder }) => unbound(),
    refuseMeasure: (_, _said: { order: MeasureOrder; held: LoadOrder }) => unbound(),
    cancel: (_, _order: { request: RequestId }) => unbound(),
    release: unbound,
  },
}).createMachine({
  id: "ShardWorker",
  initial: "empty",
  context: {},
  on: {
    "ShardWorker.Generate": {
      actions: {
        type: "refuse",
        params: ({ event }) => ({ replyTo: event.replyTo, request: event.generation.id }),
      },
    },
    "ShardWorker.Join": { actions: { type: "refuseJoin", params: ({ event }) => event } },
    "ShardWorker.Measure": {
      guard: ({ context }) => context.order !== undefined,
      actions: {
        type: "refuseMeasure",
        params: ({ context, event }) => ({ order: event, held: held(context) }),
      },
    },
    "ShardWorker.Load": {
      actions: {
        type: "refuseLoad",
        params: ({ context, event }) => ({ order: event, held: held(context) }),
      },
    },
  },
  states: {
    empty: {
      on: {
        "ShardWorker.Load": { target: "loading", actions: assign(({ event }) => ({ order: event })) },
      },
    },
    loading: {
      invoke: {
        src: "load",
        input: ({ context }) => held(context),
        onDone: {
          target: "ready",
          actions: {
            type: "loaded",
            params: ({ context, event }) => ({ order: held(context), facts: event.output }),
          },
        },
        onError: {
          target: "empty",
          actions: [
            "release",
            {
              type: "loadFailed",
              params: ({ context, event }) => ({ order: held(context), error: event.error }),
            },
          ],
        },
      },
      on: { "ShardWorker.Unload": { target: "empty", actions: "release" } },
    },
    ready: {
      on: {
        "ShardWorker.Generate": { actions: { type: "generate", params: ({ event }) => event } },
        "ShardWorker.Join": { actions: { type: "join", params: ({ event }) => event } },
        "ShardWorker.Measure": {
          actions: {
            type: "measure",
            params: ({ context, event }) => ({ order: event, held: held(context) }),
          },
        },
        "ShardWorker.Cancel": { actions: { type: "cancel", params: ({ event }) => event } },
        "ShardWorker.Unload": { target: "empty", actions: "release" },
      },
    },
  },
});
