/** What a placement of the log gives one machine. Pure. */
import type { GroupWay } from "#protocol/collective";
import type { NodeId } from "#protocol/ids";
import type { PlacedInstance, Stage } from "#protocol/placement";
import type { Group } from "#protocol/shard";
import { teamsOf } from "../cluster/instances.ts";

/** Whether this machine has the same layers of the same model in both, as part of a group or not. */
export function isSamePart(one: PlacedInstance, other: PlacedInstance, self: NodeId): boolean {
  const partOf = (record: PlacedInstance) => {
    const { model, digest, settings, stages } = record;
    const { layers, rank } = stages.find(({ node }) => node === self) ?? {};
    const ranks = teamOf(record, self).length;
    return { model, digest, settings, layers, rank, ranks, isWhole: stages.length === 1 };
  };
  return Bun.deepEquals(partOf(one), partOf(other));
}

/** Those that share that machine's layers, itself among them. */
export const teamOf = ({ stages }: PlacedInstance, self: NodeId): readonly Stage[] =>
  teamsOf(stages).find((team) => team.some(({ node }) => node === self)) ?? [];

/** How many share the layers of each stage, where any do. */
export function ranksOf({ stages }: PlacedInstance): Pick<Group, "ranks"> {
  const ranks = teamsOf(stages).map(({ length }) => length);
  return ranks.some((count) => count > 1) ? { ranks } : {};
}

/** By what those ranks add up, if not by exo's own links. */
export function wayOf(stages: readonly Stage[]): GroupWay | undefined {
  const ways = stages.flatMap(({ way }) => way ?? []);
  const [first] = ways;
  return first && { backend: first.backend, host: first.host, devices: ways.map(({ devices }) => devices) };
}

/** Whether the log gives this machine a part in that epoch. */
export const isWanted = (record: PlacedInstance | undefined, epoch: number, self: NodeId): boolean =>
  record !== undefined &&
  record.epoch === epoch &&
  record.state !== "failed" &&
  record.stages.some(({ node }) => node === self);
