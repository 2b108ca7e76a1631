/** The table of models that the home holds on several machines, as its log makes it: pure, and the same on every member. */
import { isIPv4 } from "node:net";
import { type Static, Type as t } from "@sinclair/typebox";
import type { Address, NodeId } from "#protocol/ids";
import {
  INSTANCES_MAX,
  type PlacedInstance,
  PlacedInstance as Schema,
  type Stage,
} from "#protocol/placement";
import { Problem } from "#protocol/problem";

const { id, model, digest, wish, settings, epoch, stages, faster, facts, problem } = Schema.properties;
const type = t.Literal("instance");

/** Each but the first names the epoch that it is about: one that comes after a newer placement changes nothing. */
export const InstanceCommand = t.Union([
  /** A placement that nobody had before: its epoch is the entry's own index. `after`: the epoch it replaces, 0 for none. */
  t.Object({
    type,
    does: t.Literal("place"),
    id,
    model,
    digest,
    wish,
    settings,
    faster,
    stages,
    after: epoch,
  }),
  /** Every stage is loaded, and they know each other; the stages have their workers. */
  t.Object({ type, does: t.Literal("ready"), id, epoch, stages, facts }),
  /** Takes no more requests. */
  t.Object({ type, does: t.Literal("drain"), id, epoch }),
  t.Object({ type, does: t.Literal("fail"), id, epoch, problem }),
  t.Object({ type, does: t.Literal("gone"), id, epoch }),
]);
export type InstanceCommand = Static<typeof InstanceCommand>;

type Place = Extract<InstanceCommand, { does: "place" }>;
type Later = Exclude<InstanceCommand, { does: "place" }>;
type Table = readonly PlacedInstance[];

/** What each may follow: an end that was agreed on is not undone by what somebody began before it. */
const AFTER: Readonly<Record<Later["does"], readonly PlacedInstance["state"][]>> = {
  ready: ["loading"],
  drain: ["loading", "ready"],
  fail: ["loading", "ready"],
  gone: ["draining", "failed"],
};

/** The table after one command, which is entry `index` of the log; throws Problem `invalid` for one that every member must refuse. */
export function nextInstances(before: Table, command: InstanceCommand, index: number): Table {
  if (command.does === "place") return placed(before, command, index);
  const known = before.find((each) => each.id === command.id);
  if (known?.epoch !== command.epoch)
    throw new Problem(
      "invalid",
      `epoch ${command.epoch} of instance ${command.id} is not the newest: ${known?.epoch ?? "none"} is`,
    );
  if (!AFTER[command.does].includes(known.state))
    throw new Problem(
      "invalid",
      `epoch ${command.epoch} of instance ${known.id} is ${known.state}: ${command.does} is not for it`,
    );
  if (command.does === "gone") return before.filter((each) => each !== known);
  return before.map((each) => (each === known ? changed(known, command) : each));
}

function placed(before: Table, { id: own, after, ...command }: Place, index: number): Table {
  const known = before.find((each) => each.id === own);
  if ((known?.epoch ?? 0) !== after)
    throw new Problem("invalid", `instance ${own} was placed by another before: epoch ${known?.epoch ?? 0}`);
  if (known?.state === "draining") throw new Problem("invalid", `instance ${own} is being ended`);
  if (before.some((each) => each !== known && each.model === command.model))
    throw new Problem("invalid", `${command.model} is placed already`);
  const others = known || before.length < INSTANCES_MAX ? before : withoutOldestFailure(before);
  if (!known && others.length >= INSTANCES_MAX)
    throw new Problem("overloaded", `${INSTANCES_MAX} models are on several machines already`, {
      remedy: "stop one: exo stop MODEL",
    });
  checkParts(command.stages);
  const { model: name, digest: same, wish: wanted, settings: how, stages: parts, faster: only } = command;
  const made: PlacedInstance = {
    id: own,
    model: name,
    digest: same,
    wish: wanted,
    settings: how,
    ...(only && { faster: only }),
    epoch: index,
    state: "loading",
    ...((known?.state === "ready" || known?.wasReady) && known.state !== "failed" && { wasReady: true }),
    stages: parts.map(({ worker: _, ...part }) => part),
  };
  return known ? before.map((each) => (each === known ? made : each)) : [...others, made];
}

/** One that failed is there only to say why. */
function withoutOldestFailure(table: Table): Table {
  const [oldest] = table.filter(({ state }) => state === "failed").toSorted((a, b) => a.epoch - b.epoch);
  return table.filter((each) => each !== oldest);
}

/** Each machine once, and each layer once and in order. */
function checkParts(parts: Place["stages"]): void {
  if (new Set(parts.map(({ node }) => node)).size !== parts.length)
    throw new Problem("invalid", "a machine has two stages of one model");
  let next = 0;
  for (const team of teamsOf(parts)) {
    const { layers = { start: 0, end: 0 }, rank } = team[0] ?? {};
    if (team.length > 1 || rank !== undefined) checkRanks(team);
    if (layers.start !== next || layers.end <= layers.start)
      throw new Problem("invalid", `layers ${layers.start} to ${layers.end} do not follow layer ${next}`);
    next = layers.end;
  }
}

/** Parts by the stage that they are of: of one machine, or of all those from a rank 0 to the next. */
export function teamsOf<Part extends Pick<Stage, "rank">>(
  parts: readonly Part[],
): readonly (readonly Part[])[] {
  const teams: Part[][] = [];
  for (const part of parts) {
    const team = teams.at(-1);
    if (team && part.rank) team.push(part);
    else teams.push([part]);
  }
  return teams;
}

/** All of them the same layers, each as another rank. */
function checkRanks(team: readonly Stage[]): void {
  const [first] = team;
  for (const [at, { layers, rank }] of team.entries())
    if (rank !== at || !Bun.deepEquals(layers, first?.layers) || team.length < 2)
      throw new Problem(
        "invalid",
        `rank ${rank} with layers ${layers.start} to ${layers.end} is not part ${at} of ${team.length}`,
      );
  if (team.some(({ way }) => way)) checkWays(team);
}

/** Where MLX adds up it does so for all, each of which has a device to every other. */
function checkWays(parts: readonly Stage[]): void {
  const host = parts[0]?.way?.host ?? "";
  if (!isIPv4(host)) throw new Problem("invalid", `ranks cannot meet at ${host}`);
  for (const [at, { rank, way }] of parts.entries()) {
    const isWhole =
      way?.devices.length === parts.length &&
      way.devices.every((device, to) => (device === null) === (to === at));
    if (!isWhole || way.host !== host)
      throw new Problem("invalid", `rank ${rank} does not have a device to every other rank`);
  }
}

function changed(known: PlacedInstance, command: Exclude<Later, { does: "gone" }>): PlacedInstance {
  switch (command.does) {
    case "ready":
      if (!sameStages(known, command.stages))
        throw new Problem("invalid", `instance ${known.id} was placed otherwise`);
      return {
        ...known,
        state: "ready",
        wasReady: true,
        stages: command.stages,
        ...(command.facts && { facts: command.facts }),
      };
    case "drain":
      return { ...known, state: "draining" };
    case "fail":
      return { ...known, state: "failed", ...(command.problem && { problem: command.problem }) };
  }
}

const sameStages = ({ stages: before }: PlacedInstance, now: Place["stages"]): boolean =>
  before.length === now.length &&
  before.every(({ node, layers, rank, way }, at) => {
    const other = now[at];
    return (
      other?.node === node &&
      other.rank === rank &&
      Bun.deepEquals(other.layers, layers) &&
      Bun.deepEquals(other.way, way) &&
      isWorkerOf(node, other.worker)
    );
  });

/** Whether that is the address of a worker of that machine: nobody names another's, or another actor, as its own. */
export const isWorkerOf = (node: NodeId, worker: Address | undefined): boolean =>
  worker?.startsWith(`${node}/worker-`) === true && !worker.includes("/", node.length + 1);
