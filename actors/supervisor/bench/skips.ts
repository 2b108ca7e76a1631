/** What a config may ask for and one machine cannot do yet: said in the report, never left out in silence. */
import type { BenchConfig, ModelChoice, Scenario } from "./bench-config.ts";
import type { MachineFacts } from "./environment.ts";
import type { Skipped } from "./report.ts";

const NO_CLUSTER = "exo runs on one machine until the cluster exists";

export interface Selection {
  readonly scenarios: readonly Scenario[];
  readonly skipped: readonly Skipped[];
}

/** The scenarios that can be run here, and a reason for everything that is not. */
export function selected(config: BenchConfig, machine: MachineFacts): Selection {
  const unmet = Object.entries(config.require ?? {}).flatMap(
    ([what, wanted]) => unmetOf(what, wanted, machine) ?? [],
  );
  if (unmet.length > 0) {
    return { scenarios: [], skipped: unmet.map((reason) => ({ what: `all scenarios (require)`, reason })) };
  }
  const scenarios = config.scenarios.filter(({ faults }) => faults === undefined);
  return {
    scenarios,
    skipped: [
      ...config.scenarios.flatMap(scenarioSkips),
      ...placementSkips(config),
      ...config.models.flatMap(modelSkips),
      ...collectSkips(config),
    ],
  };
}

function scenarioSkips({ name, faults, check }: Scenario): Skipped[] {
  return [
    ...(faults ? [{ what: `scenario ${name}`, reason: `its faults need several nodes: ${NO_CLUSTER}` }] : []),
    ...Object.keys(check ?? {})
      .filter((kind) => kind !== "perplexity")
      .map((kind) => ({
        what: `scenario ${name}, check ${kind}`,
        reason: "of the checks, only perplexity is known yet",
      })),
  ];
}

function placementSkips({ placement }: BenchConfig): Skipped[] {
  const strategies = (placement?.strategy ?? []).filter((each) => each === "pipeline" || each === "tensor");
  const nodes = (placement?.nodes ?? []).filter((group) => group.length > 1);
  return [
    ...strategies.map((strategy) => ({ what: `placement strategy ${strategy}`, reason: NO_CLUSTER })),
    ...nodes.map((group) => ({ what: `placement on ${group.join(" + ")}`, reason: NO_CLUSTER })),
  ];
}

const modelSkips = ({ id, quant }: ModelChoice): Skipped[] =>
  quant === undefined
    ? []
    : [
        {
          what: `${id}: quant ${quant}`,
          reason: "models are loaded as they are stored; name the file of that quantisation",
        },
      ];

function collectSkips({ collect }: BenchConfig): Skipped[] {
  const reasons = {
    energy: "not measurable here: no power source is read yet",
    gpu: "no GPU is used",
    links: NO_CLUSTER,
    stages: NO_CLUSTER,
  };
  return (Object.keys(reasons) as (keyof typeof reasons)[])
    .filter((what) => collect[what] === true)
    .map((what) => ({ what: `collect ${what}`, reason: reasons[what] }));
}

const UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** Why a requirement is not met, or undefined where it is. */
function unmetOf(what: string, wanted: string, machine: MachineFacts): string | undefined {
  switch (what) {
    case "nodes":
      return holds(1, wanted) ? undefined : `needs nodes ${wanted}; ${NO_CLUSTER}`;
    case "memory":
      return holds(machine.memoryBytes, wanted)
        ? undefined
        : `needs memory ${wanted}; this machine has ${(machine.memoryBytes / 1e9).toFixed(1)} GB`;
    case "chip":
      return new RegExp(wanted, "i").test(machine.cpu)
        ? undefined
        : `needs a chip like ${wanted}; this is ${machine.cpu}`;
    case "link":
      return `needs a link like ${wanted}; ${NO_CLUSTER}`;
    default:
      return `needs ${what} ${wanted}, which is not known here`;
  }
}

function holds(value: number, wanted: string): boolean {
  const [, sign = ">=", count, unit = "B"] =
    /^(>=|<=|>|<|=)?\s*(\d+(?:\.\d+)?)\s*([kMGT]?B)?$/.exec(wanted.trim()) ?? [];
  const bound = Number(count) * (UNITS[unit] ?? 1);
  return (
    {
      ">=": value >= bound,
      "<=": value <= bound,
      ">": value > bound,
      "<": value < bound,
      "=": value === bound,
    }[sign] ?? false
  );
}
