/** Keeps a node running: its Supervisor and its gateway are started again when they crash; beyond their budget the node ends. */
import { type Child, type Plan, SupervisionTree } from "#actors/runtime/supervision-tree";
import type { ActorSystem } from "#actors/runtime/system";
import type { Address } from "#protocol/ids";
import { Problem } from "#protocol/problem";

export interface Parts {
  readonly supervisor: Pick<Child, "start" | "stop" | "stopMs">;
  readonly gateway: Pick<Child, "start" | "stop" | "stopMs">;
  /** Its parts are kept running by itself. */
  readonly home: { readonly start: () => Promise<void>; readonly stop: () => Promise<void> };
  /** Told of each crash. */
  readonly crashed: NonNullable<Plan["ended"]>;
}

export interface Kept {
  /** Resolves when the node cannot go on: it has left its home, and nothing of it runs. */
  readonly over: Promise<Problem>;
  /** The home first, so that nobody looks for this node; then answers under way end. */
  stop(): Promise<void>;
}

/** More than five crashes of these two in a minute, and they would crash for ever. */
const BUDGET = { restarts: 5, withinMs: 60_000 };
const PAUSES_MS = [0, 200, 1000, 5000];
const HOME_STOP_MS = 10_000;

/** Throws what keeps a part from starting at all. */
export async function keepRunning(
  system: ActorSystem,
  { supervisor, gateway, home, crashed }: Parts,
): Promise<Kept> {
  const over = Promise.withResolvers<Problem>();
  let failure: Error | undefined;
  const startHome = async (): Promise<Address> => {
    await home.start();
    return system.spawn("home-of-node", () => {});
  };
  const plan: Plan = {
    name: "node",
    strategy: "oneForOne",
    budget: BUDGET,
    pausesMs: PAUSES_MS,
    children: [
      { ...supervisor, name: "supervisor", restart: "always" },
      { ...gateway, name: "api-gateway", restart: "always" },
      { name: "home", restart: "never", start: startHome, stop: home.stop, stopMs: HOME_STOP_MS },
    ],
    ended: crashed,
  };
  const tree = new SupervisionTree(system, plan, (error) => {
    failure = error;
    over.resolve(
      new Problem("internal", `this exo cannot go on: ${error.message}`, { remedy: REMEDY, cause: error }),
    );
  });
  await tree.start();
  if (failure) throw failure;
  return { over: over.promise, stop: () => tree.stop() };
}

const REMEDY = "start it again; if it ends again, please report it with what it wrote before";
