/** Where a model is that this machine lacks: of who answers, and never as if a machine that said nothing lacked it. */
import { expect, test } from "bun:test";
import { knownCheckpoint, otherCopies } from "#actors/supervisor/placement/known-checkpoint";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { CheckpointView } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import { checkpoint, MODEL, me, other } from "./model.ts";

const lacks = new Problem("notFound", `${MODEL} is not on this machine`);
const silent = new Problem("unavailable", "other/stages did not answer Stages.Look within 5000 ms");
const damaged = new Problem("invalid", "its tensors are cut off");

/** A home in which this machine and the other answer so. */
function home(own: CheckpointView | Problem, answer: CheckpointView | Problem) {
  const nodes = [me, other].map((node) => {
    const view: Partial<NodeView> = { node, name: node, state: node === me ? "self" : "up" };
    return view as NodeView;
  });
  const look = async (node: NodeId) => {
    const said = node === me ? own : answer;
    if (said instanceof Problem) throw said;
    return said;
  };
  return [{ look }, { model: MODEL, self: me, nodes }] as const;
}

/** What is said of it, where this machine lacks it. */
const asked = (answer: CheckpointView | Problem): Promise<unknown> =>
  knownCheckpoint(...home(lacks, answer)).catch(({ kind, message }: Problem) => [kind, message]);

test("who has it says what it is, who lacks it or has it damaged does not count, and who said nothing may have it", async () => {
  expect([await asked(checkpoint), await asked(lacks), await asked(damaged), await asked(silent)]).toEqual([
    checkpoint,
    ["notFound", "no machine has m; me does not have m; other does not have m"],
    ["notFound", "no machine has m; me does not have m; other cannot use m: its tensors are cut off"],
    ["unavailable", "other did not say in time whether it has m, and no other machine does"],
  ]);
});

test("who has another copy than this machine is told of, not who lacks it or says nothing", async () => {
  const another = { ...checkpoint, digest: "other", parts: { ...checkpoint.parts, tensors: "u" } };
  const all = [another, checkpoint, lacks, silent].map((answer) => otherCopies(...home(checkpoint, answer)));
  const why = "has another m than me: the tensors of the two differ";
  expect(await Promise.all(all)).toEqual([[{ node: other, why }], [], [], []]);
});
