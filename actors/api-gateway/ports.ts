/** Everything the ApiGateway may touch. Production passes the Supervisor and its workers; a test passes plain objects. */
import type { TraceEntry } from "#actors/runtime/trace";
import type { ApiKey } from "#protocol/api-key";
import type { NodeOrder, NodeView } from "#protocol/cluster";
import type { Delta, Generation } from "#protocol/generation";
import type { LinkView } from "#protocol/node";
import type { InviteRole, PairingMessage, PairingReply } from "#protocol/pairing";
import type { CheckpointView, OtherCopy, PlacementWish, Rebalanced } from "#protocol/placement";
import type { Problem } from "#protocol/problem";
import type { SpeedAnswer } from "#protocol/speeds";
import type { ModelState } from "#protocol/supervisor";

/** Answers one generation. Throws a Problem before the first delta or between two; ends early only by throwing. */
export type Generate = (generation: Generation, signal: AbortSignal) => AsyncIterable<Delta>;

/** One model that can be asked for: held in memory or waiting on disk. */
export interface ModelListing {
  readonly id: string;
  readonly path?: string;
  /** Size on disk. */
  readonly bytes?: number;
  readonly state: ModelState["state"] | "downloaded";
  /** Unix seconds. */
  readonly created: number;
  /** Tokens. */
  readonly contextLength?: number;
  readonly quantisation?: string;
  /** Names of the machines of the home that have it, where this one has not. */
  readonly on?: readonly string[];
}

type Reply<Type extends PairingReply["type"]> = Promise<Extract<PairingReply, { readonly type: Type }>>;

/** `code`: of that invite only, however many came after it. */
export interface Watched {
  readonly seen?: string;
  readonly code?: string;
}

/** Letting machines in, and joining others. All throw Problem. */
export interface PairingPort {
  invite(ttlMs: number, role?: InviteRole): Reply<"PairingReply.Invited">;
  /** Answers when the invite is in another state than the one seen, or after a while. */
  watch(which: Watched): Reply<"PairingReply.Invite">;
  close(which: Pick<Watched, "code">): Reply<"PairingReply.Invite">;
  join(
    application: Omit<Extract<PairingMessage, { readonly type: "Pairing.Join" }>, "type">,
  ): Reply<"PairingReply.Joined">;
}

/** The keys that are good now. */
export interface KeyBook {
  /** Read afresh at each call, so that a revoked key is none at once. Throws a Problem when the keys cannot be trusted. */
  find(id: string): ApiKey | undefined;
}

export interface GatewayPorts {
  readonly generate: Generate;
  models(): Promise<readonly ModelListing[]>;
  loaded(): Promise<readonly ModelState[]>;
  /** This machine first. */
  nodes(): Promise<readonly NodeView[]>;
  /** Why this machine, which should be one of several, serves alone; undefined where it does not. */
  alone?(): Problem | undefined;
  /** Undefined in an exo that works alone, and while it starts. Throws a Problem where `alone` tells one. */
  pairing?(): PairingPort | undefined;
  /** Between this machine and its peers, and between these as they tell. */
  links(): Promise<readonly LinkView[]>;
  /** The last messages between actors here, oldest first: names alone, nothing that a message says. Undefined: none are kept. */
  trace?(): readonly TraceEntry[];
  /** Resolves when every link was measured anew, as far as no machine works. */
  measureLinks(): Promise<void>;
  /** What each machine of the home that is up measured of itself with that model, at once where it does not remember. */
  measureModel(model: string): Promise<readonly SpeedAnswer[]>;
  /** What this machine has of that name, or another of its home. Throws a Problem. */
  checkpoint(model: string): Promise<CheckpointView>;
  /** Machines of the home that have another of that name than this one, or than most where it has none. */
  otherCopies(model: string): Promise<readonly OtherCopy[]>;
  /** The machine of that name or id after it; undefined when it is gone. Throws a Problem. */
  orderNode(name: string, order: NodeOrder): Promise<NodeView | undefined>;
  /** The home's keys are others from then on; resolves when a majority agreed. Throws a Problem. */
  rotateKeys(): Promise<void>;
  /** Calls back, soon and once for many, when what `nodes` or `loaded` tell is another; the returned function ends that. */
  changed(run: () => void): () => void;
  /** `now` cuts running answers short. */
  stop(model: string | "all", now: boolean): Promise<void>;
  /** Resolves once the model is held, on these machines if there is a wish; with what is to be said of those that take no part. */
  preload(model: string, wish?: PlacementWish): Promise<readonly string[]>;
  /** Moves a model that several machines hold to where it is faster now, or where is wished for; resolves once that is decided. Throws Problem. */
  rebalance(model: string, wish?: PlacementWish): Promise<Rebalanced>;
  /** Unique across restarts, at least 96 random bits. */
  newId(): string;
  /** Unix seconds. */
  nowSeconds(): number;
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number;
  /** Runs once after `ms`; the returned function cancels it. */
  after(ms: number, run: () => void): () => void;
  /** Told of every failure that is not a Problem: a bug, for the log. */
  report?(error: unknown): void;
  readonly version: string;
  readonly nodeName: string;
  /** Machines of others are not seen from here; undefined in an exo that works alone. */
  readonly namespace?: string;
}
