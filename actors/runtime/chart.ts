/** Runs an xstate chart as an actor's behaviour: each message is the chart's event. */
import { type AnyActor, type AnyStateMachine, createActor, type EventFromLogic } from "xstate";
import type { Address } from "#protocol/ids";
import type { Behaviour } from "./actor.ts";
import type { Clock } from "./clock.ts";
import type { Trace } from "./trace.ts";

/** A clock as xstate wants it: its delays pass by ours, so that a simulator owns them. */
export const chartClock = ({ after }: Clock) => ({
  setTimeout: (run: (...given: unknown[]) => void, ms: number) => after(ms, run),
  clearTimeout: (cancel: () => void) => cancel(),
});

/** A chart that throws stops; the error reaches the actor's supervision through `crashed`. */
export function chartBehaviour<Chart extends AnyStateMachine>(
  chart: Chart,
  crashed: (error: unknown) => void,
  traced?: { readonly trace: Trace | undefined; readonly address: Address },
): Behaviour<EventFromLogic<Chart>> {
  const running = createActor(chart);
  running.subscribe({ error: crashed });
  if (traced) traceChart(running, traced.address, traced.trace);
  running.start();
  return ({ message }) => running.send(message);
}

/** Notes every state that a chart enters, under the name of whose chart it is. Nothing without a trace. */
export function traceChart(chart: AnyActor, name: string, trace: Trace | undefined): void {
  if (!trace) return;
  let known = "";
  const look = (snapshot: unknown) => {
    const state = stateOf(snapshot);
    if (state === known) return;
    trace.note("entered", name, "", state);
    known = state;
  };
  chart.subscribe({ next: look, complete: () => look(chart.getSnapshot()), error: () => {} });
}

/** States have names; what the chart's context holds is not looked at. */
const stateOf = (snapshot: unknown): string => {
  const value = (snapshot as { value?: unknown }).value;
  return typeof value === "string" ? value : JSON.stringify(value);
};
