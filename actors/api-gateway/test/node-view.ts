/** A machine as `exo nodes` shows it, for tests that care about a part of it. */
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";

/** Up, and nothing else is known of it; its name is its id. */
export const nodeView = (name: string, more: Partial<NodeView> = {}): NodeView => ({
  node: name as NodeId,
  name,
  state: "up",
  leader: false,
  voter: false,
  drained: false,
  excluded: false,
  labels: {},
  addresses: [],
  ...more,
});
