/** A part of a process that stands and falls with one actor: who looks after that one need look after nothing else of it. */
import type { AnyMessage } from "#protocol/message";
import type { Behaviour, SpawnOptions } from "./actor.ts";
import type { Clock } from "./clock.ts";
import type { ActorSystem } from "./system.ts";

/** The same system; whatever is thrown by actors that it spawns or timers of its clock, or that it is told to have caught, is the crash of the actor `name`. */
export function partOf(system: ActorSystem, name: string): ActorSystem {
  const crashed = (error: unknown) => system.fail(system.address(name), error);
  const clock = guardedClock(system.clock, crashed);
  const spawn = <M extends AnyMessage>(actor: string, behaviour: Behaviour<M>, options: SpawnOptions = {}) =>
    system.spawn(actor, behaviour, { onCrash: crashed, ...options });
  return new Proxy(system, {
    get(_, member) {
      if (member === "clock") return clock;
      if (member === "spawn") return spawn;
      if (member === "caught") return crashed;
      const value: unknown = Reflect.get(system, member, system);
      return typeof value === "function" ? value.bind(system) : value;
    },
  });
}

/**
 * Takes what work ends with that nobody waits for (`void work().catch(crashOf(clock))`): the crash of the part whose clock it is, as if
 * a timer of it had thrown it. Unhandled it would count against the whole process, and its part stand still.
 */
export const crashOf =
  (clock: Pick<Clock, "after">) =>
  (error: unknown): void =>
    void clock.after(0, () => {
      throw error;
    });

const guardedClock = (clock: Clock, failed: (error: unknown) => void): Clock => ({
  ...clock,
  after: (ms, run) =>
    clock.after(ms, () => {
      try {
        run();
      } catch (error) {
        failed(error);
      }
    }),
});
