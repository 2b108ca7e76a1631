/** What a config may ask for and one machine cannot do yet: said in the report, never left out in silence. */
import type { BenchConfig, ModelChoice, Scenario } from "./bench-config.ts";
import type { MachineFacts } from "./facts.ts";
import type { Skipped } from "./report.ts";
import { holds, matches, type Requirements } from "./requirements.ts";

const NO_CLUSTER = "exo runs on one machine until the cluster exists";

export interface Selection {
  readonly scenarios: readonly Scenario[];
  readonly skipped: readonly Skipped[];
}

/** What is known before the first request. */
export interface Here {
  readonly machine: MachineFacts;
  /** Why energy cannot be measured, where it cannot. */
  readonly noEnergy?: string;
}

/** The scenarios that can be run here, and a reason for everything that is not. */
export function selected(config: BenchConfig, { machine, noEnergy }: Here): Selection {
  const reasons = unmet(config.require ?? {}, machine);
  if (reasons.length > 0) {
    return { scenarios: [], skipped: reasons.map((reason) => ({ what: "all scenarios (require)", reason })) };
  }
  const scenarios = config.scenarios.filter(({ faults }) => faults === undefined);
  return {
    scenarios,
    skipped: [
      ...config.scenarios.flatMap(scenarioSkips),
      ...placementSkips(config),
      ...config.models.flatMap(modelSkips),
      ...collectSkips(config, noEnergy),
    ],
  };
}

const scenarioSkips = ({ name, faults }: Scenario): Skipped[] =>
  faults ? [{ what: `scenario ${name}`, reason: `its faults need several nodes: ${NO_CLUSTER}` }] : [];

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

function collectSkips({ collect }: BenchConfig, noEnergy: string | undefined): Skipped[] {
  const reasons = {
    ...(noEnergy !== undefined && { energy: `not measurable here: ${noEnergy}` }),
    gpu: "exo computes on the processor on this machine",
    links: NO_CLUSTER,
    stages: NO_CLUSTER,
  };
  return Object.entries(reasons).flatMap(([what, reason]) =>
    collect[what as keyof typeof reasons] === true ? [{ what: `collect ${what}`, reason }] : [],
  );
}

/** Why the requirements are not met; empty where they are. */
function unmet(
  { nodes, memory, chip, link }: Requirements,
  { memoryBytes, cpu }: MachineFacts,
): readonly string[] {
  return [
    ...(nodes && !holds(1, nodes) ? [`needs nodes ${nodes.text}; ${NO_CLUSTER}`] : []),
    ...(memory && !holds(memoryBytes, memory)
      ? [`needs memory ${memory.text}; this machine has ${(memoryBytes / 1e9).toFixed(1)} GB`]
      : []),
    ...(chip && !matches(cpu, chip) ? [`needs a chip like ${chip.source}; this is ${cpu}`] : []),
    ...(link ? [`needs a link like ${link.source}; ${NO_CLUSTER}`] : []),
  ];
}
