/** Runs an xstate chart as an actor's behaviour: each message is the chart's event. */
import { type AnyStateMachine, createActor, type EventFromLogic } from "xstate";
import type { Clock } from "./clock.ts";
import type { Behaviour } from "./system.ts";

/** A clock as xstate wants it: its delays pass by ours, so that a simulator owns them. */
export const chartClock = ({ after }: Clock) => ({
  setTimeout: (run: (...given: unknown[]) => void, ms: number) => after(ms, run),
  clearTimeout: (cancel: () => void) => cancel(),
});

/** A chart that throws stops; the error reaches the actor's supervision through `crashed`. */
export function chartBehaviour<Chart extends AnyStateMachine>(
  chart: Chart,
  crashed: (error: unknown) => void,
): Behaviour<EventFromLogic<Chart>> {
  const running = createActor(chart);
  running.subscribe({ error: crashed });
  running.start();
  return ({ message }) => running.send(message);
}
