/** `exo links`: latency, bandwidth, medium and RDMA state of every pair of machines. */
import type { NodeId } from "#protocol/ids";
import type { LinkView } from "#protocol/node";
import { needDaemon } from "../daemon/daemon.ts";
import { printJson, type Session } from "../session.ts";
import { cell, mediumOf, shownLatency, shownMedium, shownRate } from "../terminal/node-words.ts";
import { shownAge, table } from "../terminal/table.ts";
import type { Cluster } from "./nodes.ts";

export interface LinksFlags {
  readonly measure?: boolean;
  readonly matrix?: boolean;
}

export async function links(session: Session, { measure, matrix }: LinksFlags): Promise<void> {
  const { terminal, json, quiet, signal, progress, clock } = session;
  const daemon = await needDaemon(session);
  if (measure) {
    progress.status("measuring links");
    await daemon.post("/exo/v1/links/measure", {}, signal).finally(() => progress.end());
  }
  const found = await daemon.get<Cluster>("/exo/v1/cluster", signal);
  if (json) return printJson(session, "links", { links: found.links });
  if (quiet)
    return terminal.out(
      pairsOf(found)
        .map(({ a, b }) => `${a} ${b}\n`)
        .join(""),
    );
  const width = terminal.outIsTerminal ? { width: terminal.columns() } : {};
  const options = { nowSeconds: clock.epochSeconds(), ...(matrix && { matrix }), ...width };
  const shown = linkTable(found, options);
  if (shown !== undefined) terminal.out(shown);
  else terminal.err("no other machine is linked with this one; exo nodes shows who is near\n");
}

export interface LinkTableOptions {
  readonly nowSeconds: number;
  readonly matrix?: boolean;
  readonly width?: number;
}

/** Undefined where there is no link. */
export function linkTable(
  found: Cluster,
  { nowSeconds, matrix, ...width }: LinkTableOptions,
): string | undefined {
  const pairs = pairsOf(found);
  if (pairs.length === 0) return undefined;
  return matrix ? matrixOf(found, width) : table(HEADERS, rowsOf(pairs, nowSeconds), width);
}

const HEADERS = ["from", "to", "medium", "latency", "there", "back", "rdma", "measured"];

/** Two machines and their link, as each of the two sees it. */
interface Pair {
  readonly a: string;
  readonly b: string;
  readonly there: LinkView | undefined;
  readonly back: LinkView | undefined;
}

/** Each pair once, in the order of the machines. */
function pairsOf({ nodes, links: all }: Cluster): readonly Pair[] {
  const between = (from: NodeId, to: NodeId) => all.find((link) => link.from === from && link.to === to);
  return nodes.flatMap((a, at) =>
    nodes.slice(at + 1).flatMap((b) => {
      const [there, back] = [between(a.node, b.node), between(b.node, a.node)];
      return there || back ? [{ a: cell(a.name), b: cell(b.name), there, back }] : [];
    }),
  );
}

const rowsOf = (pairs: readonly Pair[], nowSeconds: number): string[][] =>
  pairs.map(({ a, b, there, back }) => {
    const measuredAt = there?.measuredAt ?? back?.measuredAt;
    return [
      a,
      b,
      shownMedium(mediumOf(there, back)),
      shownLatency(there?.latencyMs ?? back?.latencyMs),
      shownRate(there?.bytesPerSecond),
      shownRate(back?.bytesPerSecond),
      there?.rdma ?? back?.rdma ?? "none",
      measuredAt === undefined ? "not yet" : shownAge(Math.max(0, nowSeconds - measuredAt)),
    ];
  });

/** Latency and rate from each row's machine to each column's. */
function matrixOf({ nodes, links: all }: Cluster, width: { readonly width?: number }): string {
  const linked = nodes.filter(({ node }) => all.some(({ from, to }) => from === node || to === node));
  const rows = linked.map((row) => [
    cell(row.name),
    ...linked.map((column) => {
      const link = all.find(({ from, to }) => from === row.node && to === column.node);
      return link ? `${shownLatency(link.latencyMs)} ${shownRate(link.bytesPerSecond)}` : "";
    }),
  ]);
  return table(["FROM \\ TO", ...linked.map(({ name }) => cell(name))], rows, { ...width, namesAbove: true });
}
