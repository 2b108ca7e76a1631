/** Whether a node has something new to tell: small changes of what always changes are none. */
import type { LinkFacts, NodeFacts } from "#protocol/node";
import type { NodeRecord } from "#protocol/topology";
import { canonical } from "./graph.ts";

/** Of the machine's memory. */
const MEMORY_PART = 0.02;
/** Of what was told as free, where that is less: who places models counts on little memory as on much. */
const FREE_PART = 0.1;
/** Programs that come and go take so much. */
const FREE_BYTES = 32e6;
const DISK_BYTES = 1e9;
/** Less is told with the next refresh: in a large home each telling goes to all, with every link in it. */
const BUSY_PART = 0.25;
const LATENCY_PART = 0.5;
const LATENCY_MS = 1;

export function isNews(told: NodeRecord, now: NodeRecord): boolean {
  return (
    canonical(steady(told)) !== canonical(steady(now)) ||
    factsMoved(told.facts, now.facts) ||
    now.links.some((link, at) => latencyMoved(told.links[at], link))
  );
}

/** The parts that change by decision or by hand only. */
const steady = ({ facts, links }: NodeRecord) => {
  const { freeBytes: _free, diskFreeBytes: _disk, busy: _busy, ...rest } = facts;
  return { facts: rest, links: links.map(({ latencyMs: _latency, ...link }) => link) };
};

const factsMoved = (told: NodeFacts, now: NodeFacts): boolean =>
  moved(told.freeBytes, now.freeBytes, freeLeast(told, now)) ||
  moved(told.diskFreeBytes, now.diskFreeBytes, DISK_BYTES) ||
  moved(told.busy, now.busy, BUSY_PART);

const freeLeast = ({ freeBytes }: NodeFacts, { memoryBytes }: NodeFacts): number =>
  Math.min(MEMORY_PART * memoryBytes, Math.max(FREE_BYTES, FREE_PART * freeBytes));

const latencyMoved = (told: LinkFacts | undefined, now: LinkFacts): boolean =>
  moved(told?.latencyMs, now.latencyMs, Math.max(LATENCY_MS, LATENCY_PART * (told?.latencyMs ?? 0)));

const moved = (told: number | undefined, now: number | undefined, least: number): boolean =>
  told === undefined || now === undefined ? told !== now : Math.abs(told - now) > least;
