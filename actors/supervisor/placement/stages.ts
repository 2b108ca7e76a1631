/** The actor that answers who leads for this machine's disk and workers. */
import type { Behaviour } from "#actors/runtime/system";
import { viewCheckpoint } from "#actors/shard-worker/weights/checkpoint-view";
import type { Address, NodeId } from "#protocol/ids";
import {
  type AloneModel,
  type CheckpointView,
  STORED_MAX,
  type StagesMessage,
  StagesReply,
  type StoredView,
} from "#protocol/placement";
import { Problem, problemBody } from "#protocol/problem";
import type { ShardWorkerReply } from "#protocol/shard-worker";
import type { Calibration } from "./calibration.ts";
import type { Holder } from "./holder.ts";
import type { Own } from "./serving.ts";

/** What lies at that path; throws Problem. */
export async function checkpointView({ name, path }: Own): Promise<CheckpointView> {
  const { facts, shape, digest } = await viewCheckpoint(path);
  const { quantisation, weightBytes } = facts;
  return { model: name, digest: digest.whole, parts: { ...digest.parts }, quantisation, weightBytes, shape };
}

/** As `find`, of what another machine asks for: by name alone. */
export function findNamed(find: (model: string) => Promise<Own>): (model: string) => Promise<Own> {
  return async (model) => {
    if (!isPath(model)) return await find(model);
    throw new Problem("notFound", "other machines name models, not where they lie on this one");
  };
}

/** The models that this machine holds by itself. */
export interface AloneHere {
  models(): Promise<readonly AloneModel[]>;
  /** Resolves when its memory is free; throws Problem where it is not idle any more. */
  giveWay(model: string): Promise<void>;
  /** The home holds it from now on: it ends once its answers have. */
  giveUp(model: string): void;
}

export interface StagesPorts {
  readonly holder: Pick<Holder, "tell" | "join" | "end" | "giveWay" | "heard">;
  /** A model on this machine's disk; throws Problem. */
  readonly find: (model: string) => Promise<Own>;
  /** What is on this machine's disk. */
  readonly stored: () => Promise<readonly StoredView[]>;
  readonly calibration: Pick<Calibration, "measure">;
  readonly alone: AloneHere;
  /** Undefined while nobody does. */
  readonly leader: () => NodeId | undefined;
  /** For the log. */
  readonly troubled: (why: string) => void;
}

export function answerStages(ports: StagesPorts): Behaviour<StagesMessage | ShardWorkerReply> {
  const { holder, find, calibration, alone, stored } = ports;
  const named = findNamed(find);
  return ({ message, from, reply }) => {
    const answer = (work: Promise<StagesReply>) =>
      void work.then(reply, (error: unknown) => reply(StagesReply.Refused({ problem: problemBody(error) })));
    switch (message.type) {
      case "Stages.Look":
        return answer(
          named(message.model)
            .then(checkpointView)
            .then((checkpoint) => StagesReply.Seen({ checkpoint })),
        );
      case "Stages.Tell":
        return holder.tell();
      case "Stages.Measure":
        return answer(
          named(message.model)
            .then((own) => calibration.measure(own, message.settings))
            .then((speeds) => StagesReply.Measured({ speeds })),
        );
      case "Stages.Join":
        return answer(holder.join(nodeOf(from), message).then(() => StagesReply.Joined({})));
      case "Stages.End": {
        const { instance, epoch, now } = message;
        return answer(holder.end(instance, epoch, now).then(() => StagesReply.Ended({})));
      }
      case "Stages.Alone":
        return answer(alone.models().then((models) => StagesReply.Alone({ models: [...models] })));
      case "Stages.Stored":
        return answer(stored().then((models) => StagesReply.Stored({ models: models.slice(0, STORED_MAX) })));
      case "Stages.GiveWay":
        return answer(gaveWay(nodeOf(from), message, ports).then(() => StagesReply.Ended({})));
      default:
        holder.heard(from, message);
    }
  };
}

async function gaveWay(
  from: NodeId,
  { model, to, part }: Extract<StagesMessage, { type: "Stages.GiveWay" }>,
  { holder, alone, leader, troubled }: StagesPorts,
): Promise<void> {
  if (from !== leader()) throw new Problem("forbidden", "only who leads has models make room");
  if (part) return holder.giveWay(part.instance, part.epoch);
  await alone.giveWay(model);
  troubled(`${model}, which this machine held by itself and nobody asked anything, was stopped for ${to}`);
}

/** What lies elsewhere on this disk than models do is nobody's business. */
const isPath = (model: string): boolean =>
  /^([/\\~]|[A-Za-z]:)/.test(model) || model.split(/[/\\]/).some((part) => part === "." || part === "..");

const nodeOf = (address: Address): NodeId => address.slice(0, address.indexOf("/")) as NodeId;
