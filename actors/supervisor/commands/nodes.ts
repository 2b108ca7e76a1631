/** `exo nodes`: the machines of this home, and those nearby that are not paired. */
import type { NodeView } from "#protocol/cluster";
import type { LinkView } from "#protocol/node";
import { needDaemon } from "../daemon/daemon.ts";
import { printJson, type Session } from "../session.ts";
import { cell, shownAccelerators, shownLink, shownMemory } from "../terminal/node-words.ts";
import { table } from "../terminal/table.ts";

export interface Cluster {
  readonly nodes: readonly NodeView[];
  readonly links: readonly LinkView[];
}

export async function nodes(session: Session): Promise<void> {
  const { terminal, json, quiet, signal } = session;
  const daemon = await needDaemon(session);
  const found = await daemon.get<Cluster>("/exo/v1/cluster", signal);
  if (json) return printJson(session, "nodes", found);
  if (quiet) return terminal.out(found.nodes.map(({ node }) => `${node}\n`).join(""));
  const width = terminal.outIsTerminal ? { width: terminal.columns() } : {};
  terminal.out(table(HEADERS, rowsOf(found), width));
}

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
export function rowsOf({ nodes: found, links }: Cluster): string[][] {
  const self = found.find(({ state }) => state === "self")?.node;
  return found.map((each) => {
    const { node, name, leader, state, facts, version, addresses } = each;
    const link = links.find(({ from, to }) => from === self && to === node);
    return [
      cell(`${name}${leader ? "*" : ""}`),
      node.slice(0, SHORT_ID),
      STATES[state],
      cell(facts?.os ?? "-"),
      cell(facts?.chip ?? "-"),
      facts ? String(facts.cores) : "-",
      facts ? shownMemory(facts) : "-",
      facts ? shownAccelerators(facts) : "-",
      shownLink(link),
      cell(version ?? facts?.version ?? "-"),
      cell(addresses[0] ?? "-"),
    ];
  });
}

const STATES: Readonly<Record<NodeView["state"], string>> = {
  self: "this machine",
  unpaired: "not paired",
  connecting: "connecting",
  up: "up",
  suspect: "silent",
  stuck: "stuck",
  away: "away",
  dead: "dead",
};
