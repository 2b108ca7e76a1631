/** `placement:` of a config: the ways a model is laid over machines, each of which is measured by itself. */
import type { BackendWish } from "#protocol/collective";
import type { HiddenWish } from "#protocol/pass";
import type { PlacementWish } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import { wishOf } from "../commands/wish.ts";
import type { BenchConfig, STRATEGIES } from "./bench-config.ts";

export interface PlacementChoice {
  /** In cells' names: `pipeline on studio + mini`. */
  readonly label: string;
  /** Undefined: as exo itself places it. */
  readonly wish?: PlacementWish;
}

/** Every strategy, in each way that matters for it, on every group of machines; one undefined where the config says nothing of it. */
export function placementsOf({ placement }: BenchConfig): readonly (PlacementChoice | undefined)[] {
  if (!placement) return [undefined];
  const { strategy = ["auto"], backend = ["auto"], hidden = [undefined], nodes = [undefined] } = placement;
  const ways = strategy.flatMap((each) =>
    // Stages add nothing up, and one machine has nothing to add.
    (each === "pipeline" || each === "single" ? ["auto" as const] : backend).flatMap((by): Way[] =>
      (hasStages(each, by) ? hidden : [undefined]).map((sent) => ({ strategy: each, backend: by, sent })),
    ),
  );
  return nodes.flatMap((group) => ways.map((way) => choice(way, group)));
}

interface Way {
  readonly strategy: Strategy;
  readonly backend: BackendWish;
  /** How hidden state goes between stages; undefined: as the exo that is asked has it. */
  readonly sent: HiddenWish | undefined;
}

/** Who names a backend wants ranks, and has stages beside them in a mixed placement alone. */
const hasStages = (strategy: Strategy, backend: BackendWish): boolean =>
  strategy === "pipeline" || strategy === "mixed" || (strategy === "auto" && backend === "auto");

function choice({ strategy, backend, sent }: Way, nodes: readonly string[] | undefined): PlacementChoice {
  const wish = wishOf({
    ...(strategy !== "auto" && { strategy }),
    ...(backend !== "auto" && { backend }),
    ...(sent && { hidden: sent }),
    ...(nodes && { nodes }),
  });
  const by = backend === "auto" ? "" : ` by ${backend}`;
  const how = sent ? ` with hidden ${sent}` : "";
  const where = nodes ? ` on ${nodes.join(" + ")}` : "";
  return { label: `${strategy}${by}${how}${where}`, ...(wish && { wish }) };
}

type Strategy = (typeof STRATEGIES)[number];

/** Whether it matters if there is a home: `single` is one machine's own way only where there is none. */
export const needsHome = ({ placement }: BenchConfig): boolean =>
  placement !== undefined &&
  (placement.nodes !== undefined ||
    placement.hidden !== undefined ||
    (placement.backend ?? []).some((each) => each !== "auto") ||
    (placement.strategy ?? []).some((each) => each !== "auto"));

/** A placement that cannot be had: thrown by `BenchPorts.open`. */
export class Unplaced extends Problem {
  /** `smollm2, pipeline on studio + mini` */
  readonly what: string;

  constructor(what: string, { kind, message, remedy }: Problem) {
    super(kind, message, remedy === undefined ? {} : { remedy });
    this.what = what;
  }
}
