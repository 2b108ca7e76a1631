/** What flags say of where a model is to be, for the commands that place one. */
import type { PlacementWish } from "#protocol/placement";

/** `mixed`: a pipeline of which ranks share at least one stage. */
export const SPLITS = ["single", "pipeline", "tensor", "mixed"] as const;

export interface PlacementFlags {
  /** Machines of this home that hold the model together, by name or id. */
  readonly nodes?: readonly string[];
  readonly minNodes?: number;
  readonly strategy?: (typeof SPLITS)[number];
  readonly backend?: NonNullable<PlacementWish["backend"]>;
  readonly hidden?: NonNullable<PlacementWish["hidden"]>;
}

/** Undefined where nothing is said of machines. */
export function wishOf({
  nodes,
  minNodes,
  strategy,
  backend,
  hidden,
}: PlacementFlags): PlacementWish | undefined {
  const wish: PlacementWish = {
    ...(nodes && { nodes: [...nodes] }),
    ...(minNodes !== undefined && { minimumNodes: minNodes }),
    ...(strategy === "mixed" ? { strategy: "pipeline", sharedStages: true } : strategy && { strategy }),
    ...(backend && { backend }),
    ...(hidden && { hidden }),
  };
  return Object.keys(wish).length > 0 ? wish : undefined;
}
