/** What changed between two views of the home, as events. Pure. */
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { ModelState } from "#protocol/supervisor";

/** A model without where it lies and which process holds it: that is for who may read models. */
export type ToldModel = Omit<ModelState, "path" | "pid" | "worker">;

export const toldModel = ({ path: _, pid: __, worker: ___, ...told }: ModelState): ToldModel => told;

/** The home at one moment: its nodes as GET /exo/v1/cluster shows them, and the models of this machine. */
export interface View {
  readonly nodes: readonly NodeView[];
  readonly models: readonly ModelState[];
}

/** One change. `type` is the name of the server-sent event, the rest its data. */
export type ClusterEvent =
  | { readonly type: "node.appeared"; readonly node: NodeView }
  /** Anything of it but its facts; `was` is the state before. */
  | { readonly type: "node.changed"; readonly node: NodeView; readonly was: NodeView["state"] }
  | { readonly type: "node.facts"; readonly node: NodeId; readonly facts: NodeView["facts"] }
  | { readonly type: "node.gone"; readonly node: NodeId; readonly name: string }
  | { readonly type: "leader.changed"; readonly leader: NodeId | null; readonly was: NodeId | null }
  | { readonly type: `model.${ModelState["state"]}`; readonly model: ToldModel }
  | { readonly type: "model.unloaded"; readonly model: string };

/** From `before` to `after`, in the order in which a reader can follow: who there is, who leads, what they have. */
export function eventsBetween(before: View, after: View): readonly ClusterEvent[] {
  return [
    ...nodeEvents(before.nodes, after.nodes),
    ...leaderEvents(leaderOf(before.nodes), leaderOf(after.nodes)),
    ...factEvents(before.nodes, after.nodes),
    ...modelEvents(before.models, after.models),
  ];
}

function nodeEvents(before: readonly NodeView[], after: readonly NodeView[]): readonly ClusterEvent[] {
  const known = byId(before);
  const now = byId(after);
  const gone = before.filter(({ node }) => !now.has(node));
  return [
    ...after.flatMap((node): ClusterEvent[] => {
      const old = known.get(node.node);
      if (!old) return [{ type: "node.appeared", node }];
      return same(lasting(old), lasting(node)) ? [] : [{ type: "node.changed", node, was: old.state }];
    }),
    ...gone.map(({ node, name }): ClusterEvent => ({ type: "node.gone", node, name })),
  ];
}

const leaderEvents = (was: NodeId | null, leader: NodeId | null): readonly ClusterEvent[] =>
  was === leader ? [] : [{ type: "leader.changed", leader, was }];

/** Who appears has its facts with it. */
function factEvents(before: readonly NodeView[], after: readonly NodeView[]): readonly ClusterEvent[] {
  const known = byId(before);
  return after.flatMap(({ node, facts }): ClusterEvent[] => {
    const old = known.get(node);
    return old && facts && !same(old.facts, facts) ? [{ type: "node.facts", node, facts }] : [];
  });
}

function modelEvents(before: readonly ModelState[], after: readonly ModelState[]): readonly ClusterEvent[] {
  const known = new Map(before.map((model) => [model.path, model]));
  const now = new Set(after.map(({ path }) => path));
  return [
    ...after.flatMap((model): ClusterEvent[] => {
      const old = known.get(model.path);
      if (old && same(counted(old), counted(model))) return [];
      return [{ type: `model.${model.state}`, model: toldModel(model) }];
    }),
    ...before
      .filter(({ path }) => !now.has(path))
      .map(({ model }): ClusterEvent => ({ type: "model.unloaded", model })),
  ];
}

const byId = (nodes: readonly NodeView[]) => new Map(nodes.map((each) => [each.node, each]));

const leaderOf = (nodes: readonly NodeView[]): NodeId | null =>
  nodes.find(({ leader }) => leader)?.node ?? null;

/** Silence grows all the time, facts have events of their own, and so has who leads. */
const lasting = ({ silentMs: _, facts: __, leader: ___, ...rest }: NodeView) => rest;

/** Requests come and go; they are no change of the model. */
const counted = ({ requests: _, ...rest }: ModelState) => rest;

const same = (a: unknown, b: unknown): boolean => Bun.deepEquals(a, b);
