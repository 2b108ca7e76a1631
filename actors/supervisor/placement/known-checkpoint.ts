/** What a model is that this machine need not have: of another of its home, for who plans and for who would fetch it otherwise. */
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { CheckpointView, OtherCopy } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import { type Looked, nowhere, otherWords, referenceOf } from "./choose.ts";
import type { CoordinatorPorts } from "./ports.ts";
import { missing } from "./survey.ts";
import { isUp } from "./there.ts";

export interface Asked {
  readonly model: string;
  /** Whose own copy is meant, where it has one. */
  readonly self: NodeId;
  readonly nodes: readonly NodeView[];
}

/** Headers and a sample of the weights are read on each: who lacks it says so at once. */
const LOOK_MS = 5_000;

/** Throws Problem `notFound` where no machine that is up has it, `unavailable` where one did not say. */
export async function knownCheckpoint(
  { look }: Pick<CoordinatorPorts, "look">,
  { model, self, nodes }: Asked,
): Promise<CheckpointView> {
  const looked = new Map<NodeId, Looked>();
  const silent: string[] = [];
  const ask = async ({ node, name }: NodeView) => {
    const question = { model, again: false, ms: LOOK_MS };
    const seen = await look(node, question).catch((error: unknown) => {
      if (error instanceof Problem && error.kind === "unavailable") silent.push(name);
      return missing(model, error);
    });
    looked.set(node, seen);
  };
  const others = nodes.filter((view) => isUp(view) && view.node !== self);
  await Promise.all(nodes.filter(({ node }) => node === self).map(ask));
  const own = referenceOf(looked, self);
  if (own) return own;
  await Promise.all(others.map(ask));
  const found = referenceOf(looked, self);
  if (found) return found;
  if (silent.length > 0) throw unsaid(model, silent);
  throw nowhere({ model, known: { nodes, links: [] }, looked });
}

/** Machines that have another of that name than this one, or than most where this has none: these do not place one together. */
export async function otherCopies(
  { look }: Pick<CoordinatorPorts, "look">,
  { model, self, nodes }: Asked,
): Promise<readonly OtherCopy[]> {
  const looked = new Map<NodeId, Looked>();
  const question = { model, again: false, ms: LOOK_MS };
  const ask = async ({ node }: NodeView) =>
    looked.set(node, await look(node, question).catch((error: unknown) => missing(model, error)));
  await Promise.all(nodes.filter(isUp).map(ask));
  const reference = referenceOf(looked, self);
  const among = { model, looked, known: { nodes, links: [] }, asker: self };
  return [...looked].flatMap(([node, view]) =>
    reference && "digest" in view && view.digest !== reference.digest
      ? [{ node, why: otherWords(view, reference, among) }]
      : [],
  );
}

const unsaid = (model: string, names: readonly string[]): Problem =>
  new Problem(
    "unavailable",
    `${names.toSorted().join(" and ")} did not say in time whether ${names.length > 1 ? "they have" : "it has"} ${model}, and no other machine does`,
    { remedy: `try again in a moment, or fetch it here: exo pull ${model}` },
  );
