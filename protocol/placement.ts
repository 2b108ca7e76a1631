/** One model on several machines: what the home agrees on of it, and what who leads and the machines say to each other about it. */
import { type Static, Type as t } from "@sinclair/typebox";
import { BackendWish, RankWay } from "./collective.ts";
import { Address, NodeId } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { ModelShape } from "./model-shape.ts";
import { HiddenForm, HiddenWish } from "./pass.ts";
import { ProblemBody } from "./problem.ts";
import { KvQuant, LayerRange, ShardFacts } from "./shard.ts";
import { MeasuredSpeeds } from "./speeds.ts";

/** As many as a group has. */
const STAGES_MAX = 64;
/** Models that one home may have on several machines. */
export const INSTANCES_MAX = 64;

const id = t.String({ minLength: 1, maxLength: 64 });
/** Letters. */
export const MODEL_MAX = 4096;
const model = t.String({ minLength: 1, maxLength: MODEL_MAX });
/** The log's index of the entry that made the placement: later ones are higher, and none is ever used twice. */
const epoch = t.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** What a user wants of a placement. */
export const PlacementWish = t.Object({
  /** Names or ids of those that alone may take part; absent: all. */
  nodes: t.Optional(
    t.Array(t.String({ minLength: 1, maxLength: 64 }), { minItems: 1, maxItems: STAGES_MAX }),
  ),
  minimumNodes: t.Optional(t.Integer({ minimum: 1, maximum: STAGES_MAX })),
  /** Absent: whichever is faster. */
  strategy: t.Optional(t.Union([t.Literal("single"), t.Literal("pipeline"), t.Literal("tensor")])),
  /**
   * Of a pipeline: at least one of its stages is shared by several machines as ranks. A field of its own, as machines that know no such
   * stages read the wish too.
   */
  sharedStages: t.Optional(t.Literal(true)),
  /** By what ranks add up; any but `auto` asks for ranks. Absent: auto. */
  backend: t.Optional(BackendWish),
  /** How hidden state goes between its stages, if it has several. Absent: as the settings say. */
  hidden: t.Optional(HiddenWish),
});
export type PlacementWish = Static<typeof PlacementWish>;

/** How the model is computed: decided once, by whose user asked first, so that all of its machines compute alike, also later ones. */
export const PlacementSettings = t.Object({
  kvQuant: KvQuant,
  /** Tokens of context to allow; absent: the model's own maximum. */
  contextLength: t.Optional(t.Integer({ minimum: 1 })),
  /** Between stages, where the wish does not say. Absent: full. */
  hidden: t.Optional(HiddenWish),
});
export type PlacementSettings = Static<typeof PlacementSettings>;

/** Layers of the model on one machine, or its part of them. */
export const Stage = t.Object({
  node: NodeId,
  layers: LayerRange,
  /** Present: it shares these layers with those beside it that have the same, each its part of every one as this rank, its place among them. */
  rank: t.Optional(t.Integer({ minimum: 0, maximum: STAGES_MAX - 1 })),
  /** Of a rank: by what it adds up with the others, where that is not exo's own links. */
  way: t.Optional(RankWay),
  /** How it sends hidden state on, as all stages of that placement; absent: as it computes it. Only who leads and knows it writes it. */
  hidden: t.Optional(HiddenForm),
  /** `<node>/<worker>`, once all of them are loaded. */
  worker: t.Optional(Address),
});
export type Stage = Static<typeof Stage>;

/** A model that the home holds together, as all its members know it. */
export const PlacedInstance = t.Object({
  id,
  /** The name by which clients ask for it. */
  model,
  /** Of the checkpoint: the same on every machine of it. */
  digest: t.String({ maxLength: 128 }),
  wish: PlacementWish,
  settings: PlacementSettings,
  epoch,
  state: t.Union([t.Literal("loading"), t.Literal("ready"), t.Literal("draining"), t.Literal("failed")]),
  /** Of one that is placed anew: fewer machines than were wished for are better than none, as answers wait for it. */
  wasReady: t.Optional(t.Boolean()),
  /** Of one that whoever asked could hold by itself, and others answer much faster: nobody else is bound to it. */
  faster: t.Optional(t.Boolean()),
  /** In the order of their layers. */
  stages: t.Array(Stage, { minItems: 1, maxItems: STAGES_MAX }),
  /** Of the last stage. */
  facts: t.Optional(ShardFacts),
  problem: t.Optional(ProblemBody),
});
export type PlacedInstance = Static<typeof PlacedInstance>;

/** How one machine's part of an instance is. */
export const HeldStage = t.Object({
  instance: id,
  epoch,
  state: t.Union([t.Literal("loading"), t.Literal("loaded"), t.Literal("failed")]),
  worker: t.Optional(Address),
  facts: t.Optional(ShardFacts),
  problem: t.Optional(ProblemBody),
  /** Of one that failed: its worker is well, and heard no more of those that have the other layers. */
  parted: t.Optional(t.Boolean()),
  /** Of one that failed: its worker heard no more of them inside of a sum, out of which it could only end itself. */
  waited: t.Optional(t.Boolean()),
  /** Of one that is loaded: nobody asked it anything for so long that its machine would give its room to another model. */
  idle: t.Optional(t.Boolean()),
  /** Of one that is idle: since its last question, when this was said. */
  idleMs: t.Optional(t.Number({ minimum: 0 })),
  loadedBytes: t.Optional(t.Number({ minimum: 0 })),
  totalBytes: t.Optional(t.Number({ minimum: 0 })),
  /** While it is fetched from another machine: on the disk, not in memory. Told so that a long fetch is not taken for silence. */
  fetchedBytes: t.Optional(t.Number({ minimum: 0 })),
});
export type HeldStage = Static<typeof HeldStage>;

/** A model that one machine holds by itself. */
export const AloneModel = t.Object({
  model,
  /** Of its weights. */
  bytes: t.Number({ minimum: 0 }),
  /** Since its last question, where that is so long ago that its machine would give its room to another model. */
  idleMs: t.Optional(t.Number({ minimum: 0 })),
});
export type AloneModel = Static<typeof AloneModel>;
/** As many as one machine holds at once. */
export const ALONE_MAX = 64;

/** Unix seconds of the last moment that a date can be: https://tc39.es/ecma262/#sec-time-values-and-time-range */
export const CREATED_MAX = 8_640_000_000_000;
/** Letters. */
export const QUANTISATION_MAX = 256;

/** A model on one machine's disk. */
export const StoredView = t.Object({
  model,
  bytes: t.Number({ minimum: 0 }),
  /** Unix seconds. */
  created: t.Number({ minimum: 0, maximum: CREATED_MAX }),
  quantisation: t.Optional(t.String({ maxLength: QUANTISATION_MAX })),
});
export type StoredView = Static<typeof StoredView>;
/** As many of one machine as others list; the rest can be asked for all the same. */
export const STORED_MAX = 256;

/** The actor `<NodeId>/placement` of each member; only that of who leads does something. */
export const Placement = inbox("Placement", {
  /** Answered by `Placed` once the home agreed, before anything is loaded, or by `Refused`. `settings` are those of a model that stands already, where it does. */
  Place: { model, wish: PlacementWish, settings: PlacementSettings },
  /**
   * The same of a model that whoever asks could hold by itself: only on machines that have it on their disks and are measured to answer
   * much faster. Answered by `Placed`, by `Stays` where there are none, or by `Refused`.
   */
  PlaceFaster: { model, settings: PlacementSettings },
  /** Answered by `Released` when its memory is free, or by `Refused`. */
  Release: { model, now: t.Boolean() },
  /**
   * Looks whether the model would be faster where the home's machines are now, and moves it there; with a wish it goes by that from now
   * on. Answers under way pause and go on. Answered by `Rebalanced` once the home agreed, or by `Refused`.
   */
  Rebalance: { model, wish: t.Optional(PlacementWish) },
  /** All that the sender holds, whenever that is another; `heard` is how far it knows the log. */
  Held: { heard: epoch, stages: t.Array(HeldStage, { maxItems: INSTANCES_MAX }) },
});
export type PlacementMessage = InboxMessage<typeof Placement>;

export const PlacementReply = inbox("PlacementReply", {
  /** `notes` say which machines take no part, and why. */
  Placed: { id, epoch, notes: t.Array(t.String({ maxLength: 1024 }), { maxItems: STAGES_MAX }) },
  /** Whoever asks is to hold it by itself. */
  Stays: {},
  Released: {},
  /** Tokens per second of all answers together, by the planner: where it was, if that is still possible, and where it is now. */
  Rebalanced: {
    id,
    epoch,
    moved: t.Boolean(),
    before: t.Optional(t.Number({ minimum: 0 })),
    now: t.Number({ minimum: 0 }),
    notes: t.Array(t.String({ maxLength: 1024 }), { maxItems: STAGES_MAX }),
  },
  Refused: { problem: ProblemBody },
});
export type PlacementReply = InboxMessage<typeof PlacementReply>;

/** The actor `<NodeId>/stages` of each member: it holds this machine's part of every instance. What to hold it reads in the log. */
export const Stages = inbox("Stages", {
  /** What lies here under that name. Answered by `Seen` or `Refused`. */
  Look: { model },
  /** Answered by a `Placement.Held`, also if nothing changed since the last: who leads has not heard that. */
  Tell: {},
  /** Computes a few steps of that model and times them; what is remembered already is told at once. Answered by `Measured` or `Refused`. */
  Measure: { model, settings: PlacementSettings },
  /** All stages of the epoch are loaded, these are their workers. `unmet`: why they could not meet before. Answered by `Joined` or `Refused`. */
  Join: {
    instance: id,
    epoch,
    workers: t.Array(Address, { minItems: 1, maxItems: STAGES_MAX }),
    unmet: t.Optional(t.String({ maxLength: 1024 })),
  },
  /** Answers under way may end first, unless `now`. Answered by `Ended`. */
  End: { instance: id, epoch, now: t.Boolean() },
  /** What this machine holds by itself. Answered by `Alone`. */
  Alone: {},
  /** Which models are on its disk. Answered by `Stored`. */
  Stored: {},
  /**
   * A model that this machine holds by itself has to make room for another, if it is idle still; or its `part` of one, that of the last
   * stage, which alone knows that. Answered by `Ended` or `Refused`.
   */
  GiveWay: { model, to: model, part: t.Optional(t.Object({ instance: id, epoch })) },
});
export type StagesMessage = InboxMessage<typeof Stages>;

/** A checkpoint on one machine's disk, so that others can be compared with it. */
export const CheckpointView = t.Object({
  /** As that machine shows it. */
  model,
  digest: t.String({ maxLength: 128 }),
  /** Parts of the digest, by which a difference is told. */
  parts: t.Record(t.String({ maxLength: 64 }), t.String({ maxLength: 128 })),
  quantisation: t.String({ maxLength: 256 }),
  weightBytes: t.Integer({ minimum: 0 }),
  shape: ModelShape,
});
export type CheckpointView = Static<typeof CheckpointView>;

export const StagesReply = inbox("StagesReply", {
  Seen: { checkpoint: CheckpointView },
  Measured: { speeds: MeasuredSpeeds },
  Joined: {},
  Ended: {},
  Alone: { models: t.Array(AloneModel, { maxItems: ALONE_MAX }) },
  Stored: { models: t.Array(StoredView, { maxItems: STORED_MAX }) },
  Refused: { problem: ProblemBody },
});
export type StagesReply = InboxMessage<typeof StagesReply>;

/** What came of a look whether a model would be faster elsewhere: tokens per second of all answers together, by the planner. */
/** A machine that has another checkpoint of a name than whoever asks: `has another sea than ada: the weights of the two differ`. */
export interface OtherCopy {
  readonly node: NodeId;
  readonly why: string;
}

export interface Rebalanced {
  readonly model: string;
  readonly moved: boolean;
  readonly before?: number;
  readonly now: number;
  readonly notes: readonly string[];
}
