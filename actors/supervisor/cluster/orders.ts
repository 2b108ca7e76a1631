/** What a user orders of a machine that is named, by its name or the beginning of its id. */
import type { MemberChange, NodeOrder, NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { plainName } from "#protocol/node";
import { Problem } from "#protocol/problem";
import { isNoSay } from "./leading.ts";
import type { Cluster } from "./ports.ts";

/** Fewer letters of an id name too many. */
const ID_LETTERS_MIN = 4;
/** What to do about a machine that was named, and is of no home or of another. */
export const PAIR_IT = "it is nearby, not paired: exo invite here, exo join there";
const ANOTHER_NAME = "exo node NAME rename NEW, with another";

/** Resolves with the machine as it is after; undefined when it was forgotten. Throws Problem. */
export async function ordered(
  cluster: Cluster,
  name: string,
  order: NodeOrder,
): Promise<NodeView | undefined> {
  const all = await cluster.nodes();
  const { node, state } = named(all, name);
  if (order.action === "rename") refuseTaken(all, node, order.name);
  const own = state === "self";
  if (order.action === "takeover") takeOver(cluster, own, name, node);
  else if (order.action === "forget" && own) await left(cluster);
  else await cluster.change(changeOf(node, order));
  return (await cluster.nodes()).find((each) => each.node === node);
}

/** Exactly one machine of the home. Throws Problem `notFound`. */
function named(all: readonly NodeView[], name: string): NodeView {
  const members = all.filter(({ state }) => state !== "unpaired");
  const begins = ({ node }: NodeView) => name.length >= ID_LETTERS_MIN && node.startsWith(name.toLowerCase());
  const byName = members.find((each) => each.name === name);
  const byId = members.filter(begins);
  const found = byName ?? (byId.length === 1 ? byId[0] : undefined);
  if (found) return found;
  const stranger = all.find((each) => each.state === "unpaired" && (each.name === name || begins(each)));
  const message =
    byId.length > 1
      ? `${name} begins the id of more than one machine`
      : `no machine of this home is called ${name}`;
  throw new Problem("notFound", message, {
    param: "node",
    remedy: stranger && byId.length === 0 ? PAIR_IT : "exo nodes lists them",
  });
}

function takeOver(cluster: Cluster, own: boolean, name: string, node: NodeId): void {
  if (!own)
    throw new Problem("invalid", `${name} is another machine: it can only take over by itself`, {
      remedy: `run it there: exo node ${node.slice(0, 8)} takeover`,
    });
  cluster.takeOver();
}

/** The others are told where that can be done; the machine leaves in any case, as its user wants. */
async function left(cluster: Cluster): Promise<void> {
  if (cluster.others === 0) throw new Problem("invalid", "this machine is alone: there is no home to leave");
  try {
    await cluster.change({ type: "forget", node: cluster.self });
  } catch (error) {
    // The answer may be lost with the links, which end as soon as the others agree.
    // A worker may not tell the others by itself: they take it off their list, or let it in again.
    if (!isNoSay(error) && !(error instanceof Problem && error.kind === "unavailable")) throw error;
  }
  await cluster.leave();
}

/** Who comes in by the name of another gets a number; who renames a machine chose that name, and is not given another. */
function refuseTaken(all: readonly NodeView[], node: NodeId, wanted: string): void {
  const name = plainName(wanted);
  const isTaken = all.some((each) => each.node !== node && each.state !== "unpaired" && each.name === name);
  if (isTaken)
    throw new Problem("invalid", `another machine of this home is called ${name}`, { remedy: ANOTHER_NAME });
}

/** A comma parts names where several are meant (`--nodes`), and `*` marks who leads in what is shown. */
function nameable(name: string): string {
  if (!/[,*]/.test(name)) return name;
  throw new Problem("invalid", `a machine's name has no comma and no *: ${name}`, {
    param: "name",
    remedy: ANOTHER_NAME,
  });
}

function changeOf(node: NodeId, order: NodeOrder): MemberChange {
  switch (order.action) {
    case "rename":
      return { type: "rename", node, name: nameable(order.name) };
    case "label":
      return { type: "label", node, labels: order.labels };
    case "role":
      return { type: "role", node, role: order.role };
    case "takeover":
      throw new Error("a takeover changes no member");
    default:
      return { type: order.action, node };
  }
}
