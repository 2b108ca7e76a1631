/** `exo nodes`: the machines of this home, and those nearby that are not paired. */
import type { Clock } from "#actors/runtime/clock";
import type { NodeView } from "#protocol/cluster";
import type { LinkView } from "#protocol/node";
import { needDaemon } from "../daemon/daemon.ts";
import { printJson, type Session } from "../session.ts";
import { cell, shownAccelerators, shownLink, shownMemory } from "../terminal/node-words.ts";
import { table } from "../terminal/table.ts";

export interface Cluster {
  readonly nodes: readonly NodeView[];
  readonly links: readonly LinkView[];
  /** Why no machines are known, this one included, and what to do. */
  readonly alone?: string;
}

export interface NodesFlags {
  readonly watch?: boolean;
}

/** Eyes see a change within it, and a node that is asked so often spends nothing. */
const LOOK_EVERY_MS = 500;

export async function nodes(session: Session, { watch = false }: NodesFlags): Promise<void> {
  const { clock, signal, terminal, json } = session;
  const daemon = await needDaemon(session);
  const found = () => daemon.get<Cluster>("/exo/v1/cluster", signal);
  if (!watch) return show(session, await found());
  let drawn = 0;
  for (let before = ""; !signal.aborted; ) {
    const cluster = await found();
    const now = essence(cluster);
    if (now !== before) {
      if (terminal.outIsTerminal && !json && drawn > 0) terminal.out(`\x1b[${drawn}A\x1b[J`);
      show(session, cluster);
      drawn = cluster.nodes.length + 1 + remarks(cluster).split("\n").length - 1;
    }
    before = now;
    await pause(clock, LOOK_EVERY_MS, signal);
  }
}

/** Over at once when the signal is given. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(ms, resolve);
  const end = () => resolve(cancel());
  signal.addEventListener("abort", end, { once: true });
  return promise.finally(() => signal.removeEventListener("abort", end));
}

function show(session: Session, found: Cluster): void {
  const { terminal, json, quiet } = session;
  if (json) printJson(session, "nodes", found);
  else if (quiet) terminal.out(found.nodes.map(({ node }) => `${node}\n`).join(""));
  else
    terminal.out(nodeTable(found, terminal.outIsTerminal ? terminal.columns() : undefined) + remarks(found));
}

const remarks = (found: Cluster): string => lonely(found) + stalled(found) + twins(found) + forgotten(found);

/** Its log says so as well, and is not where people look. */
const lonely = ({ alone = "" }: Cluster): string =>
  alone === "" ? "" : `\n${cell(alone.charAt(0).toUpperCase() + alone.slice(1))}\n`;

/** What to do about an identity that two machines have. */
function twins({ nodes: found }: Cluster): string {
  const seen = found.filter(({ state }) => state === "copied").map(({ name }) => cell(name));
  const told = found.filter(({ copied }) => copied).map(({ name }) => cell(name));
  const remark = (words: string, names: readonly string[]) =>
    names.length === 0
      ? ""
      : `
${words} the identity of ${names.join(" and of ")}, as a copied disk gives it; while both do, the home links with neither.
On the copy, end exo, then: exo node reset-identity
`;
  return (
    remark("Two machines run with", seen) +
    remark("Another machine of the home (the log says which) tells that two run with", told)
  );
}

/** It may have been off when that happened, and its log is not where people look. */
export function forgotten({ nodes: found }: Pick<Cluster, "nodes">): string {
  const names = found.find(({ state }) => state === "self")?.forgottenBy;
  if (!names) return "";
  const home = names.length === 0 ? "" : ` with ${names.map(cell).join(", ")}`;
  return `
This machine was taken off the list of its home${home}, and is on its own.
To bring it back: exo invite there, exo join CODE here
`;
}

/** What to do where too few that vote are left for anybody to lead: a home of two whose first machine is gone. */
export function stalled({ nodes: found }: Pick<Cluster, "nodes">): string {
  const voters = found.filter(({ voter }) => voter);
  const gone = voters.filter(({ state }) => state === "dead" || state === "away");
  const self = found.find(({ state }) => state === "self");
  if (!self || found.some(({ leader }) => leader) || gone.length * 2 < voters.length || gone.length === 0)
    return "";
  const names = gone.map(({ name }) => cell(name)).join(" and ");
  return `
No machine leads this home while ${names} ${gone.length === 1 ? "is" : "are"} away: what is loaded goes on, but no machine can be let in or changed.
If that is for good, let this one lead: exo node '${cell(self.name)}' takeover
`;
}

/** Given up first where a terminal is too narrow for all: --json and a wider one have them. */
const DISPENSABLE: readonly string[] = ["address", "version", "system", "id", "cores", "accelerator"];

/** All columns in a pipe; in a terminal those that fit its width, most important last to go. */
export function nodeTable(found: Cluster, width: number | undefined): string {
  const rows = rowsOf(found);
  const whole = (without: readonly string[]) => {
    const kept = HEADERS.flatMap((name, column) => (without.includes(name) ? [] : [column]));
    const cut = (row: readonly string[]) => kept.map((column) => row[column] ?? "");
    return { headers: cut(HEADERS), rows: rows.map(cut) };
  };
  if (width === undefined) return table(HEADERS, rows);
  for (let given = 0; ; given++) {
    const { headers, rows: shown } = whole(DISPENSABLE.slice(0, given));
    const [line = ""] = table(headers, shown)
      .split("\n")
      .toSorted((a, b) => Bun.stringWidth(b) - Bun.stringWidth(a));
    if (Bun.stringWidth(line) <= width || given === DISPENSABLE.length)
      return table(headers, shown, { width });
  }
}

/** What is worth another look; a silence grows all the time. */
const essence = ({ nodes: found, links }: Cluster): string =>
  JSON.stringify([
    found.map(({ silentMs: _, facts, ...rest }) => [rest, facts?.name, facts && shownMemory(facts)]),
    links.length,
  ]);

const HEADERS = [
  "node",
  "id",
  "state",
  "system",
  "chip",
  "cores",
  "free / memory",
  "accelerator",
  "link",
  "version",
  "address",
];

/** Letters of an id that people compare. */
const SHORT_ID = 8;

/** A machine that tells nothing of itself, as those do that are not paired, has dashes there. */
function rowsOf({ nodes: found, links }: Cluster): string[][] {
  const self = found.find(({ state }) => state === "self")?.node;
  return found.map((each) => {
    const { node, name, leader, facts, version, addresses } = each;
    const there = links.find(({ from, to }) => from === self && to === node);
    const back = links.find(({ from, to }) => from === node && to === self);
    return [
      cell(`${name}${leader ? "*" : ""}`),
      node.slice(0, SHORT_ID),
      shownState(each),
      cell(facts?.os ?? "-"),
      cell(facts?.chip ?? "-"),
      facts ? String(facts.cores) : "-",
      facts ? shownMemory(facts) : "-",
      facts ? shownAccelerators(facts) : "-",
      shownLink(there, back),
      cell(version ?? facts?.version ?? "-"),
      cell(addresses[0] ?? "-"),
    ];
  });
}

/** `up, votes, drained`: who leads, marked at its name, votes as well. */
const shownState = ({ state, leader, voter, drained, excluded, role }: NodeView): string =>
  [
    STATES[state],
    ...(voter && !leader ? ["votes"] : []),
    ...(role ? [role] : []),
    ...(drained ? ["drained"] : []),
    ...(excluded ? ["excluded"] : []),
  ].join(", ");

const STATES: Readonly<Record<NodeView["state"], string>> = {
  self: "this machine",
  unpaired: "not paired",
  connecting: "connecting",
  up: "up",
  suspect: "silent",
  stuck: "stuck",
  copied: "copied",
  away: "away",
  dead: "dead",
};
