import type { Storm } from "./storm.ts";
export const homeStorm = async (seed: number, _nodes: number): Promise<Storm> => ({
  seed,
  violations: [],
  digest: "",
  virtualMs: 0,
  did: 0,
});
