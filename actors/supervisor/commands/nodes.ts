/** `exo nodes`: the machines of this home, and those nearby that are not paired. */
import type { NodeView } from "#protocol/cluster";
import { needDaemon } from "../daemon/daemon.ts";
import { printJson, type Session } from "../session.ts";
import { table } from "../terminal/table.ts";

export async function nodes(session: Session): Promise<void> {
  const { terminal, json, quiet, signal } = session;
  const daemon = await needDaemon(session);
  const found = await daemon.get<{ nodes: readonly NodeView[] }>("/exo/v1/cluster", signal);
  if (json) return printJson(session, "nodes", found);
  if (quiet) return terminal.out(found.nodes.map(({ node }) => `${node}\n`).join(""));
  const rows = found.nodes.map((each) => [
    `${each.name}${each.leader ? "*" : ""}`,
    each.node.slice(0, SHORT_ID),
    each.version ?? "-",
    each.addresses[0] ?? "-",
    STATES[each.state],
  ]);
  const width = terminal.outIsTerminal ? { width: terminal.columns() } : {};
  terminal.out(table(["node", "id", "version", "address", "state"], rows, width));
}

/** Letters of an id that people compare. */
const SHORT_ID = 8;

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
