/**
 * Keeps a group of actors running: starts them in order, starts again what ends, and gives up aloud when that happens too often.
 * The words and rules are those of Erlang's supervisors (https://www.erlang.org/doc/system/sup_princ.html).
 */
import type { Address } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { Clock } from "./clock.ts";
import { type Budget, RestartBudget } from "./supervision.ts";
import type { ActorSystem } from "./system.ts";
import type { End } from "./watches.ts";

/** Which others are stopped and started again with a child that ended: none, all, or those started after it. */
export type Strategy = "oneForOne" | "oneForAll" | "restForOne";

export interface Child {
  readonly name: string;
  /**
   * Starts it anew and gives its address; failing counts as an end, but a Problem is for somebody to mend: the tree gives up with it.
   * A child may be another tree.
   */
  readonly start: () => Address | Promise<Address>;
  /** Ends it in order; absent: it is simply stopped. */
  readonly stop?: () => Promise<void>;
  /** It may take so long to stop in order; then it is stopped as it is. */
  readonly stopMs: number;
  /** `always`, or only after a crash or loss, or `never`. */
  readonly restart: "always" | "onCrash" | "never";
}

export interface Plan {
  readonly name: string;
  readonly strategy: Strategy;
  readonly budget: Budget;
  /** Pauses before the first, second, … restart within the budget's time; the last one holds for all further. */
  readonly pausesMs: readonly number[];
  readonly children: readonly Child[];
  /** Told of every child that ends by itself, before anything is done about it. */
  readonly ended?: (name: string, end: End) => void;
}

interface Running {
  readonly address: Address;
  readonly unwatch: () => void;
}

export class SupervisionTree {
  readonly #system: ActorSystem;
  readonly #plan: Plan;
  readonly #budget: RestartBudget;
  readonly #running = new Map<Child, Running>();
  /** One change at a time, in order of the news. */
  #work: Promise<void> = Promise.resolve();
  #address: Address | undefined;
  #state: "new" | "up" | "over" = "new";
  readonly #failed: ((problem: Error) => void) | undefined;

  /** `failed` hears when the tree gives up; a tree within another needs none, as the outer one watches it. */
  constructor(system: ActorSystem, plan: Plan, failed?: (problem: Error) => void) {
    this.#system = system;
    this.#plan = plan;
    this.#budget = new RestartBudget(plan.budget, system.clock);
    this.#failed = failed;
  }

  /** The addresses of the children that run, by name. */
  get children(): Readonly<Record<string, Address>> {
    return Object.fromEntries([...this.#running].map(([{ name }, { address }]) => [name, address]));
  }

  /** Resolves with the tree's own address once every child was started or the tree gave up. */
  async start(): Promise<Address> {
    const { name, children } = this.#plan;
    const onCrash = this.#failed;
    this.#address = this.#system.spawn(
      name,
      () => {},
      onCrash && { onCrash: (error) => onCrash(asError(error)) },
    );
    this.#state = "up";
    this.#do(() => this.#startAll(children));
    await this.#work;
    return this.#address;
  }

  /** Stops the children, last started first, then the tree. */
  stop(): Promise<void> {
    this.#do(async () => {
      if (this.#state !== "up") return;
      this.#state = "over";
      await this.#stopAll(this.#plan.children);
      if (this.#address) this.#system.stop(this.#address);
    });
    return this.#work;
  }

  #do(work: () => Promise<void>): void {
    this.#work = this.#work.then(work);
  }

  async #startAll(children: readonly Child[]): Promise<void> {
    for (const child of children) {
      if (this.#state !== "up") return;
      if (!this.#running.has(child)) await this.#start(child);
    }
  }

  async #start(child: Child): Promise<void> {
    try {
      const address = await child.start();
      const unwatch = this.#system.watch(address, (end) => {
        if (this.#running.get(child)?.address !== address) return;
        this.#running.delete(child);
        this.#do(() => this.#ended(child, end));
      });
      this.#running.set(child, { address, unwatch });
    } catch (error) {
      if (error instanceof Problem) await this.#giveUp(error);
      else await this.#ended(child, { how: "crashed", why: asError(error).message, cause: error });
    }
  }

  async #ended(child: Child, end: End): Promise<void> {
    if (this.#state !== "up" || this.#running.has(child)) return;
    this.#plan.ended?.(child.name, end);
    if (child.restart === "never" || (child.restart === "onCrash" && end.how === "stopped")) return;
    if (!this.#budget.spend()) {
      const { restarts, withinMs } = this.#plan.budget;
      const often = `${child.name} ended more than ${restarts} times within ${withinMs / 1000} s`;
      await this.#giveUp(new Error(`${often}, the last time because: ${end.why}`));
      return;
    }
    const group = this.#group(child);
    await this.#stopAll(group);
    await passed(this.#system.clock, this.#pauseMs());
    await this.#startAll(group.filter(({ restart }) => restart !== "never"));
  }

  /** Its children end, and whoever watches the tree hears that it crashed. */
  async #giveUp(why: Error): Promise<void> {
    this.#state = "over";
    await this.#stopAll(this.#plan.children);
    if (this.#address) this.#system.fail(this.#address, why);
  }

  #group(child: Child): readonly Child[] {
    const { strategy, children } = this.#plan;
    if (strategy === "oneForOne") return [child];
    return strategy === "oneForAll" ? children : children.slice(children.indexOf(child));
  }

  #pauseMs(): number {
    const { pausesMs } = this.#plan;
    return pausesMs[Math.min(this.#budget.spent, pausesMs.length) - 1] ?? 0;
  }

  async #stopAll(children: readonly Child[]): Promise<void> {
    for (const child of children.toReversed()) {
      const running = this.#running.get(child);
      if (!running) continue;
      running.unwatch();
      this.#running.delete(child);
      await this.#stopped(child);
      this.#system.stop(running.address);
    }
  }

  /** Its own end in order, or its deadline. What it fails with on its way out changes nothing: it is over. */
  #stopped({ stop, stopMs }: Child): Promise<void> {
    if (!stop) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#system.clock.after(stopMs, resolve);
      const over = () => {
        cancel();
        resolve();
      };
      stop().then(over, over);
    });
  }
}

const passed = (clock: Clock, ms: number): Promise<void> =>
  ms === 0 ? Promise.resolve() : new Promise((resolve) => clock.after(ms, resolve));

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
