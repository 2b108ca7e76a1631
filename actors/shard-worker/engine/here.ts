/** Units of work computed by the layers of this machine, which has them all: each is over when it was asked for. */
import type { Mlx } from "#ffi/array";
import type { KvQuant } from "#protocol/shard";
import type { Model } from "../models/model.ts";
import type { Computer, Done, Feed, Outcome, Unit } from "./computer.ts";
import { hiddenRowsMax } from "./hidden.ts";
import type { Paces, StepKind } from "./paces.ts";
import { Room } from "./room.ts";
import { Sequence } from "./sequence.ts";

export interface HerePorts {
  readonly mlx: Mlx;
  readonly model: Model;
  readonly clock: { nowMs(): number };
  readonly kvQuant?: KvQuant;
  /** Memory that may still be taken; without bound where not said. */
  readonly freeBytes?: () => number;
  /** Where the times of units are kept, with all that is done with their outcomes. */
  readonly paces?: Paces;
}

export class Here implements Computer {
  readonly stages = 1;
  /** Machines that go on with an answer from here have to be able to compute the same tokens together. */
  readonly rowsMax: number;
  readonly full = false;
  readonly #ports: HerePorts;
  readonly #room: Room;

  /** `relieve` gives up what is kept for requests to come. */
  constructor(ports: HerePorts, relieve: () => void) {
    const { start, end } = ports.model.range;
    if (start !== 0 || end !== ports.model.layers)
      throw new Error(`layers ${start} to ${end} alone make no tokens`);
    this.#ports = ports;
    this.rowsMax = hiddenRowsMax(ports.model.hiddenSize);
    this.#room = new Room({
      freeBytes: ports.freeBytes ?? (() => Number.POSITIVE_INFINITY),
      relieve: () => {
        relieve();
        ports.mlx.clearCache();
      },
    });
  }

  begin(): Sequence {
    const { mlx, model, kvQuant } = this.#ports;
    return new Sequence(mlx, model, model.caches(kvQuant));
  }

  compute(unit: Unit, done: Done): void {
    const { paces } = this.#ports;
    const [first] = unit.feeds;
    const work = () => this.#compute(unit, done);
    if (first && paces) paces.timed(kindOf(unit, first), first.sequence.tokens.length, work);
    else work();
  }

  #compute({ feeds, wanted }: Unit, done: Done): void {
    const { clock } = this.#ports;
    const refused = feeds.map((feed) => this.#refusal(feed));
    const taken = feeds.filter((_, i) => refused[i] === undefined);
    const isChunk = wanted !== "last";
    const startedMs = isChunk ? clock.nowMs() : 0;
    const computed = outcomesOf(taken, wanted)[Symbol.iterator]();
    const tookMs = isChunk ? clock.nowMs() - startedMs : 0;
    done(
      refused.map((error) => (error === undefined ? nextOf(computed) : { error })),
      tookMs,
    );
  }

  /** Why the feed has no room, if it has none. */
  #refusal({ sequence, tokens }: Feed): unknown {
    const { nbytes } = sequence;
    try {
      this.#room.require({ held: sequence.tokens.length, nbytes }, tokens.length);
      return undefined;
    } catch (error) {
      return error;
    }
  }
}

/** One sequence alone is at fault when its unit fails; of several none is known to be. */
function outcomesOf(feeds: readonly Feed[], wanted: Unit["wanted"]): readonly Outcome[] {
  const [first] = feeds;
  if (!first) return [];
  try {
    if (feeds.length === 1) return [{ logits: held(first).run(first.tokens, wanted) }];
    const members = feeds.map((feed) => ({ sequence: held(feed), token: feed.tokens[0] ?? 0 }));
    return Sequence.nextOfEach(members).map((logits) => ({ logits }));
  } catch (error) {
    return feeds.length === 1 ? [{ error }] : feeds.map(() => ({ again: true }) as const);
  }
}

function held({ sequence }: Feed): Sequence {
  if (sequence instanceof Sequence) return sequence;
  throw new Error("a sequence of several machines was given to one");
}

function nextOf(outcomes: Iterator<Outcome>): Outcome {
  const { value, done } = outcomes.next();
  if (done) throw new Error("a unit has fewer outcomes than feeds");
  return value;
}

/** What the time of a unit says. */
function kindOf({ feeds }: Unit, { tokens }: Feed): StepKind {
  if (tokens.length > 1) return { kind: "prompt", rows: tokens.length, until: "token" };
  return { kind: "decode", rows: feeds.length, until: "token" };
}
