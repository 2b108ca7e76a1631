/** Why a model is not placed, in words: for `exo plan --explain` and for who asked for it. */
import type { Home } from "#actors/planner/home";
import type { LeftOut } from "#actors/planner/home-of";
import type { Plans, Rejection } from "#actors/planner/plan";
import type { NodeView } from "#protocol/cluster";
import { Problem } from "#protocol/problem";
import { PAIR_IT } from "../cluster/orders.ts";
import { cell } from "../terminal/node-words.ts";
import { shownBytes } from "../terminal/table.ts";

const LEFT_OUT: Readonly<Record<LeftOut["because"], string>> = {
  notPaired: "not paired",
  notConnected: "not connected now",
  excluded: "excluded",
  drained: "drained",
  factsUnknown: "nothing is known of it yet",
  notNamed: "not among --nodes",
};

/** Throws Problem `notFound` for a name that no machine of the home has. */
export function checkNames(named: readonly string[] = [], nodes: readonly NodeView[]): void {
  for (const name of named) {
    const called = nodes.filter((each) => each.name === name || each.node === name);
    if (called.some(({ state }) => state !== "unpaired")) continue;
    const [stranger] = called;
    throw new Problem("notFound", `no machine of this home is called ${name}`, {
      param: "nodes",
      remedy: stranger ? PAIR_IT : "exo nodes lists them",
    });
  }
}

/** A machine of the home that nobody left out by name. */
export const isAbsent = ({ because }: LeftOut): boolean => because !== "notNamed" && because !== "notPaired";

/** `bob takes no part: drained`. */
export const leftOutWords = ({ name, because }: LeftOut): string =>
  `${cell(name)} takes no part: ${LEFT_OUT[because]}`;

export function reasonOf(rejection: Rejection, home: Home): string {
  const named = (machines: readonly number[]) =>
    machines.map((at) => cell(home.machines[at]?.name ?? "")).join("+");
  switch (rejection.type) {
    case "memory": {
      const each = rejection.short.map(
        ({ machine, bytes }) => `${shownBytes(bytes)} short on ${named([machine])}`,
      );
      return `${named(rejection.machines)} by itself: ${each.join(", ")}`;
    }
    case "indivisible": {
      const { what, size, piece } = rejection.division;
      const pieces = piece > 1 ? ` in pieces of ${piece}` : "";
      return `tensor over ${rejection.ranks}: ${size} ${what}${pieces} do not divide by ${rejection.ranks}`;
    }
    case "unlinked":
      return `${named(rejection.machines)}: no link between them is known`;
    case "fewMachines":
      return `${rejection.wanted} machines are needed, ${rejection.have} can take part`;
    case "manyMachines":
      return `single: one machine has all layers, and ${rejection.wanted} are to take part`;
    case "home":
      return rejection.shortBytes === 0
        ? "all machines together have the memory, but no cut of the layers fits each"
        : `all machines together: ${shownBytes(rejection.shortBytes)} short`;
    case "ring":
      return "ring: the one set that its rule tries does not hold the model";
  }
}

type Missing = "machines" | "one" | "division";

/** What is missing where it is not memory: machines, one that is enough, or a number by which heads and feed-forward divide. */
export function missingIn(rejected: readonly Rejection[]): Missing | undefined {
  if (rejected.some(({ type }) => type === "fewMachines")) return "machines";
  const isShort = (each: Rejection) =>
    each.type === "memory" || (each.type === "home" && each.shortBytes > 0);
  // Where all strategies were tried, one of them is for a single machine, and memory may be what is missing.
  if (rejected.some(({ type }) => type === "manyMachines") && !rejected.some(isShort)) return "one";
  const isUncut = rejected.some(({ type }) => type === "indivisible") && !rejected.some(isShort);
  return isUncut ? "division" : undefined;
}

const MEMORY_REMEDY =
  "free memory (exo ps, exo stop), add a machine (exo invite), or choose a smaller model or quantisation";
const REMEDIES: Readonly<Record<Missing, string>> = {
  one: "leave --strategy out, or name one machine: --nodes",
  machines:
    "name more machines with --nodes, ask for fewer with --min-nodes, or leave --strategy out; exo nodes shows which are there",
  division: "leave --strategy out, or have another number of machines share it: --nodes",
};

interface Nothing {
  readonly closest?: Plans["closest"];
  readonly rejected: readonly string[];
  /** Absent: memory. */
  readonly missing?: Missing | undefined;
  /** Machines whose copy is another one. */
  readonly others?: readonly string[];
  /** How the user asks for less context; absent: by a flag of the command. */
  readonly less?: (context: number) => string;
}

export function nothingFits(
  model: string,
  context: number,
  { closest, rejected, missing, others = [], less = (context) => `--ctx ${context}` }: Nothing,
): Problem {
  const alike = `make the copies alike: exo rm ${model} on ${others.map(cell).join(" and ")}; what is needed there then comes from the others`;
  const remedy =
    others.length > 0
      ? alike
      : closest
        ? `it would fit with less context: ${less(closest.context)}`
        : missing
          ? REMEDIES[missing]
          : MEMORY_REMEDY;
  const why = rejected.length > 0 ? `: ${rejected.join("; ")}` : "";
  return new Problem("doesNotFit", `no plan fits ${model} with a context of ${context}${why}`, { remedy });
}

interface NoPlan {
  readonly model: string;
  readonly context: number;
  readonly plans: readonly Plans[];
  readonly home: Home;
  readonly notes: readonly string[];
  /** Machines that were left out for their copy. */
  readonly others: readonly string[];
}

/** The same for who asked a running exo, of all that was tried. */
export function noPlan({ model, context, plans, home, notes, others }: NoPlan): Problem {
  // Where machines are too few, memory need not be.
  const isShort = (each: Rejection) => each.type !== "home" || each.shortBytes > 0;
  const reasons = plans.flatMap(({ rejected }) =>
    rejected.filter(isShort).map((each) => reasonOf(each, home)),
  );
  const closest = plans.find((each) => each.closest)?.closest;
  return nothingFits(model, context, {
    rejected: [...new Set([...reasons, ...notes])],
    missing: missingIn(plans.flatMap(({ rejected }) => rejected)),
    others,
    ...(closest && { closest }),
    less: (shorter) =>
      `exo serve --ctx ${shorter} on the machine that is asked, or runtime.context in its exo.yaml`,
  });
}
