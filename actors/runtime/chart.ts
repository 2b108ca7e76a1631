/** Runs an xstate chart as an actor's behaviour: each message is the chart's event. */
import { type AnyStateMachine, createActor, type EventFromLogic } from "xstate";
import type { Behaviour } from "./system.ts";

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
