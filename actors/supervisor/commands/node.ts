/** `exo node NAME ACTION`: manages one machine of this home. */
import { NODE_ACTIONS, type NodeOrder, type NodeView } from "#protocol/cluster";
import { Problem } from "#protocol/problem";
import { needDaemon } from "../daemon/daemon.ts";
import { misspelt, usageProblem } from "../exit-code.ts";
import { printJson, type Session } from "../session.ts";
import { cell } from "../terminal/node-words.ts";
import { roleOf } from "./role.ts";

/** What each does, in the words of a question that a yes answers. */
const GRAVE: Readonly<Record<string, (name: string) => string>> = {
  forget: (name) => `let ${name} be no machine of this home any more?`,
  takeover: (name) => `let ${name} lead although those that vote do not answer? What only they know is lost.`,
};

type Done = Pick<NodeView, "name"> & Partial<Pick<NodeView, "labels" | "role">>;

const DONE: Readonly<Record<NodeOrder["action"], (after: Done) => string>> = {
  rename: ({ name }) => `${name} is its new name`,
  label: ({ name, labels = {} }) => {
    const pairs = Object.entries(labels).map(([label, value]) => cell(`${label}=${value}`));
    return pairs.length === 0 ? `${name} has no labels` : `${name} is labelled ${pairs.toSorted().join(" ")}`;
  },
  drain: ({ name }) => `${name} takes no new work`,
  resume: ({ name }) => `${name} takes work`,
  exclude: ({ name }) => `${name} is not used for models`,
  forget: ({ name }) => `${name} is no machine of this home any more`,
  takeover: ({ name }) => `${name} leads`,
  role: ({ name, role }) =>
    role === "worker" ? `${name} is a worker: it computes, and has no say` : `${name} has a say in its home`,
};

export async function node(session: Session, name: string, words: readonly string[]): Promise<void> {
  const order = orderOf(words);
  const daemon = await needDaemon(session);
  await confirmed(session, name, order);
  const path = `/exo/v1/nodes/${encodeURIComponent(name)}`;
  const { node: after } = await daemon
    .post<{ node?: NodeView }>(path, order, session.signal)
    .catch((error) => {
      throw misspelt(error, ["name", "labels"]);
    });
  if (session.json) printJson(session, "node", { node: after ?? null });
  else session.progress.milestone(DONE[order.action](after ?? { name }));
}

/** The words after the machine's name; throws Problem for a wrong use. */
function orderOf([action = "", ...words]: readonly string[]): NodeOrder {
  const known = NODE_ACTIONS.find((each) => each === action);
  if (!known)
    throw usageProblem(
      action === "" ? "what to do with it is missing" : `${action} is nothing to do with a machine`,
      `one of: ${NODE_ACTIONS.join(", ")}`,
    );
  if (known === "rename") return { action: known, name: theOnly(words, "exo node NAME rename NEW") };
  if (known === "label") return { action: known, labels: labelsOf(words) };
  if (known === "role") return { action: known, role: roleOf(theOnly(words, "exo node NAME role worker")) };
  if (words.length > 0) throw usageProblem(`${known} takes nothing more`, `exo node NAME ${known}`);
  return { action: known };
}

function theOnly(words: readonly string[], usage: string): string {
  const [word] = words;
  if (word !== undefined && words.length === 1) return word;
  throw usageProblem("one word is needed", usage);
}

/** `room=attic` sets, `room=` takes away. */
function labelsOf(words: readonly string[]): Record<string, string> {
  const pairs = words.map((word) => /^([\w.-]+)=(.*)$/s.exec(word));
  if (pairs.length === 0 || pairs.includes(null))
    throw usageProblem("a label is NAME=VALUE", "exo node studio label room=attic (room= takes it away)");
  return Object.fromEntries(pairs.flatMap((pair) => (pair ? [[pair[1] ?? "", pair[2] ?? ""]] : [])));
}

async function confirmed(session: Session, name: string, { action }: NodeOrder): Promise<void> {
  const question = GRAVE[action]?.(name);
  if (question === undefined || session.yes) return;
  if (!session.terminal.inIsTerminal || session.json)
    throw usageProblem(`${action} needs a yes: ${question}`, "add --yes");
  const { confirm } = await import("@clack/prompts");
  if ((await confirm({ message: question, initialValue: false })) === true) return;
  throw new Problem("cancelled", "nothing was changed");
}
