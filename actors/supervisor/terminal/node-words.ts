/** Words for what machines tell of themselves: short, and harmless for a terminal, as they come from others. */
import type { LinkView, Medium, NodeFacts } from "#protocol/node";
import type { ModelState } from "#protocol/supervisor";
import { safeText } from "./safe-text.ts";
import { shownBytes } from "./table.ts";

/** One cell of a table. */
export const cell = (text: string): string =>
  safeText(text)
    .replaceAll(/[\t\n]/g, " ")
    .trim();

const MEDIA: Readonly<Record<Medium, string>> = {
  loopback: "same machine",
  thunderbolt: "Thunderbolt",
  infiniband: "InfiniBand",
  ethernet: "Ethernet",
  wifi: "Wi-Fi",
  tunnel: "VPN",
  unknown: "?",
};
export const shownMedium = (medium: Medium): string => MEDIA[medium];

/** `3.1 / 25.3 GB`: free and all, in the unit of all. */
export function shownMemory({ freeBytes, memoryBytes }: NodeFacts): string {
  const [free, all] = [shownBytes(freeBytes).split(" "), shownBytes(memoryBytes).split(" ")];
  return free[1] === all[1] ? `${free[0]} / ${all.join(" ")}` : `${free.join(" ")} / ${all.join(" ")}`;
}

/** `2 x NVIDIA H200`, or nothing but the processor. */
export function shownAccelerators({ accelerators }: NodeFacts): string {
  const counts = Map.groupBy(accelerators, ({ name }) => name);
  const shown = [...counts].map(([name, list]) => (list.length === 1 ? name : `${list.length} x ${name}`));
  return shown.length === 0 ? "-" : cell(shown.join(", "));
}

export const shownLatency = (ms: number | undefined): string =>
  ms === undefined ? "-" : `${ms < 10 ? Math.max(0.01, ms).toFixed(ms < 1 ? 2 : 1) : Math.round(ms)} ms`;

export const shownRate = (bytesPerSecond: number | undefined): string =>
  bytesPerSecond === undefined ? "-" : `${shownBytes(bytesPerSecond)}/s`;

const SLOWEST_FIRST: readonly Medium[] = [
  "tunnel",
  "wifi",
  "ethernet",
  "thunderbolt",
  "infiniband",
  "loopback",
  "unknown",
];

/** Of a pair, by what each end tells: a cable at one end and Wi-Fi at the other is Wi-Fi. */
export const mediumOf = (there: LinkView | undefined, back: LinkView | undefined): Medium =>
  SLOWEST_FIRST.find((medium) => medium === there?.medium || medium === back?.medium) ?? "unknown";

/** `Ethernet 0.3 ms`: how this machine reaches another. */
export function shownLink(there: LinkView | undefined, back: LinkView | undefined): string {
  if (!there) return "-";
  const latency = there.latencyMs === undefined ? [] : [shownLatency(there.latencyMs)];
  return [shownMedium(mediumOf(there, back)), ...latency].join(" ");
}

/** `ada 0–14 | bob 15–29`, in the order of the layers; `ada 0–14 part 1/2 | bob 0–14 part 2/2 by ring | cyd 15–29` where some are shared. */
export function shownStages(stages: NonNullable<ModelState["stages"]>): string {
  const all = stages
    .map(({ name, layers, rank, backend }) => {
      const ranks = stages.filter((other) => other.layers.start === layers.start).length;
      const by = rank === ranks - 1 && backend ? ` by ${backend}` : "";
      const part = rank === undefined ? "" : ` part ${rank + 1}/${ranks}${by}`;
      return `${cell(name)} ${layers.start}–${layers.end - 1}${part}`;
    })
    .join(" | ");
  return stages.some(({ hidden }) => hidden === "8bit") ? `${all} (hidden states in 8 bits)` : all;
}
