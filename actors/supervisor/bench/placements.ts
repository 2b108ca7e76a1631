/** `placement:` of a config: the ways a model is laid over machines, each of which is measured by itself. */
import type { BackendWish } from "#protocol/collective";
import type { PlacementWish } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { BenchConfig, Placement } from "./bench-config.ts";

export interface PlacementChoice {
  /** In cells' names: `pipeline on studio + mini`. */
  readonly label: string;
  /** Undefined: as exo itself places it. */
  readonly wish?: PlacementWish;
}

/** Every strategy on every group of machines; one undefined where the config says nothing of it. */
export function placementsOf({ placement }: BenchConfig): readonly (PlacementChoice | undefined)[] {
  if (!placement) return [undefined];
  const { strategy = ["auto"], backend = ["auto"], nodes = [undefined] } = placement;
  const ways = strategy.flatMap((each) =>
    // Stages add nothing up, and one machine has nothing to add.
    (each === "pipeline" || each === "single" ? ["auto" as const] : backend).map((by) => [each, by] as const),
  );
  return nodes.flatMap((group) => ways.map(([each, by]) => choice(each, by, group)));
}

function choice(
  strategy: Strategy,
  backend: BackendWish,
  nodes: readonly string[] | undefined,
): PlacementChoice {
  const wish: PlacementWish = {
    ...(strategy !== "auto" && { strategy }),
    ...(backend !== "auto" && { backend }),
    ...(nodes && { nodes: [...nodes] }),
  };
  const by = backend === "auto" ? "" : ` by ${backend}`;
  const where = nodes ? ` on ${nodes.join(" + ")}` : "";
  return { label: `${strategy}${by}${where}`, ...(Object.keys(wish).length > 0 && { wish }) };
}

type Strategy = NonNullable<Placement["strategy"]>[number];

/** Whether it matters if there is a home: `single` is one machine's own way only where there is none. */
export const needsHome = ({ placement }: BenchConfig): boolean =>
  placement !== undefined &&
  (placement.nodes !== undefined ||
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
