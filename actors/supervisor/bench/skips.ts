/** What a config may ask for and cannot be done here: said in the report, never left out in silence. */
import type { BenchConfig, ModelChoice, Scenario } from "./bench-config.ts";
import type { MachineFacts } from "./facts.ts";
import type { Home } from "./home.ts";
import { type PlacementChoice, placementsOf } from "./placements.ts";
import type { Skipped } from "./report.ts";
import { holds, matches, type Requirements } from "./requirements.ts";

export interface Selection {
  readonly scenarios: readonly Scenario[];
  /** Ways to lay a model over machines; one undefined where the config says nothing of it. */
  readonly placements: readonly (PlacementChoice | undefined)[];
  readonly skipped: readonly Skipped[];
}

/** What is known before the first request. */
export interface Here {
  readonly machine: MachineFacts;
  /** The home that a running exo knows, or why there is none. */
  readonly home: Home | string;
  /** Why energy cannot be measured, where it cannot. */
  readonly noEnergy?: string;
}

/** What can be run here, and a reason for everything that is not. */
export function selected(config: BenchConfig, here: Here): Selection {
  const { home, noEnergy } = here;
  const reasons = unmet(config.require ?? {}, here);
  if (reasons.length > 0) {
    const skipped = reasons.map((reason) => ({ what: "all scenarios (require)", reason }));
    return { scenarios: [], placements: [], skipped };
  }
  const choices = placementsOf(config);
  const placements = typeof home === "string" ? choices.flatMap(onThisMachine) : choices;
  const left = choices.filter((choice) => !placements.some((each) => each?.label === choice?.label));
  return {
    scenarios: config.scenarios.filter(({ faults }) => faults === undefined),
    placements,
    skipped: [
      ...config.scenarios.flatMap(scenarioSkips),
      ...left.map((choice) => ({ what: `placement ${choice?.label}`, reason: String(home) })),
      ...config.models.flatMap(modelSkips),
      ...collectSkips(config, noEnergy),
    ],
  };
}

/** One machine alone has its own way only. */
function onThisMachine(choice: PlacementChoice | undefined): readonly (PlacementChoice | undefined)[] {
  if (choice?.wish === undefined) return [choice];
  const isAlone = choice.wish.nodes === undefined && choice.wish.strategy === "single";
  return isAlone ? [{ label: choice.label }] : [];
}

const scenarioSkips = ({ name, faults }: Scenario): Skipped[] =>
  faults ? [{ what: `scenario ${name}`, reason: "exo bench stops and kills no machines yet" }] : [];

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
    links: "not noted by the bench yet; exo links shows them",
    stages: "what each machine of a placement does is not noted by the bench yet",
  };
  return Object.entries(reasons).flatMap(([what, reason]) =>
    collect[what as keyof typeof reasons] === true ? [{ what: `collect ${what}`, reason }] : [],
  );
}

/** Why the requirements are not met; empty where they are. */
function unmet({ nodes, memory, chip, link }: Requirements, { machine, home }: Here): readonly string[] {
  const known = typeof home === "string" ? { nodes: 1, media: [], why: `: ${home}` } : { ...home, why: "" };
  const { memoryBytes = machine.memoryBytes } = typeof home === "string" ? {} : home;
  const has = known.nodes === 1 ? "this machine has" : `its ${known.nodes} machines have`;
  const media = known.media.length > 0 ? known.media.join(", ") : "none";
  return [
    ...(nodes && !holds(known.nodes, nodes)
      ? [
          `needs nodes ${nodes.text}; there ${known.nodes === 1 ? "is" : "are"} ${known.nodes} now${known.why}`,
        ]
      : []),
    ...(memory && !holds(memoryBytes, memory)
      ? [`needs memory ${memory.text}; ${has} ${(memoryBytes / 1e9).toFixed(1)} GB`]
      : []),
    ...(chip && !matches(machine.cpu, chip)
      ? [`needs a chip like ${chip.source}; this is ${machine.cpu}`]
      : []),
    ...(link && !known.media.some((medium) => matches(medium, link))
      ? [`needs a link like ${link.source}; there are: ${media}${known.why}`]
      : []),
  ];
}
