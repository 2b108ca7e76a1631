/** Stages of one model in one process, for tests: their links are lists, and what they say goes through the codec all the same. */
import type { Sent, Tell } from "#actors/runtime/telling";
import { decode, encode } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import type { Problem } from "#protocol/problem";
import type { Group } from "#protocol/shard";
import type { Engine } from "./engine/engine.ts";
import { Joined } from "./joined.ts";
import type { Loaded } from "./loading.ts";
import type { PassFailed, PassMessage } from "./member.ts";

/** A body is handed over as it is, and nobody finds anything in it once it was computed: the next may lie in its place. */
const SPOILT = 0xa5;

/** On its way from one stage to another. */
export interface Carried {
  readonly to: number;
  readonly from: number;
  readonly message: AnyMessage;
  readonly body: Uint8Array | undefined;
}

export interface GroupOptions {
  readonly epoch?: number;
  /** How many of the workers share each stage's layers; absent: one each. */
  readonly ranks?: readonly number[];
  /** What arrives of what is sent: absent, just that. */
  readonly link?: (carried: Carried) => readonly Carried[];
  /** What becomes of what is sent; absent: all of it is taken. */
  readonly way?: (carried: Carried) => Sent;
  /** As a group has it. */
  readonly hidden?: Group["hidden"];
  readonly after?: (ms: number, run: () => void) => () => void;
}

export interface MemoryGroup {
  readonly members: readonly Joined[];
  /** Of the last stage. */
  readonly engine: Engine;
  /** Why it came apart, if it did. */
  readonly parted: readonly Problem[];
  /** Something arrives that was sent at another time, or in another epoch. */
  carry(carried: Carried): void;
  /** Every stage in turn takes what arrived and does one thing. Answers whether any of them did. */
  step(): boolean;
  run(): void;
}

/** Of a body that is carried twice, the second has bytes of its own: each is spoilt once it was heard. */
function withOwnBodies(all: readonly Carried[]): readonly Carried[] {
  const bodies = new Set<Uint8Array>();
  return all.map((carried) => {
    const { body } = carried;
    if (!body) return carried;
    if (bodies.has(body)) return { ...carried, body: body.slice() };
    bodies.add(body);
    return carried;
  });
}

export function memoryGroup(stages: readonly Loaded[], options: GroupOptions = {}): MemoryGroup {
  const { epoch = 1, ranks, link = (carried) => [carried], way = () => "taken" } = options;
  const { after = () => () => {}, hidden } = options;
  const addresses = stages.map((_, stage) => `node-${stage}/worker-1` as Address);
  const parted: Problem[] = [];
  const inboxes: Carried[][] = stages.map(() => []);
  let nowMs = 0;
  const bodies = new Set<Uint8Array>();
  const clock = { nowMs: () => nowMs++, epochSeconds: () => 0, after, freshId: () => "id" };
  const members = stages.map((loaded, stage) => {
    const tell: Tell = (address, message, body) => {
      const from = addresses[stage] ?? address;
      const { message: said } = decode(encode({ to: address, from, message }));
      // To each rank of the next stage the same bytes are told: each has its own, as they are spoilt once they were heard.
      const own = body && bodies.has(body) ? body.slice() : body;
      if (body) bodies.add(body);
      const sent = { to: addresses.indexOf(address), from: stage, message: said, body: own };
      const became = way(sent);
      if (became !== "taken") return became;
      for (const carried of withOwnBodies(link(sent))) inboxes[carried.to]?.push(carried);
      return "taken";
    };
    const how = { ...(ranks && { ranks: [...ranks] }), ...(hidden && { hidden }) };
    const group = { instance: "model", epoch, stages: addresses, stage, ...how };
    return new Joined(group, loaded, { clock, tell, parted: (problem) => parted.push(problem) });
  });
  const engine = members.at(-1)?.engine;
  if (!engine) throw new Error("the last stage has no engine");

  function arrive(stage: number): Carried | undefined {
    const carried = inboxes[stage]?.shift();
    const member = members[stage];
    if (!carried || !member) return undefined;
    const from = addresses[carried.from] ?? ("nobody/there" as Address);
    if (carried.message.type === "ShardWorker.Pass")
      member.arrived({ pass: carried.message as PassMessage, body: carried.body, from });
    else member.failed(carried.message as PassFailed, from);
    return carried;
  }

  const step = () =>
    members.map((member, stage) => {
      const came = arrive(stage);
      const more = member.turn();
      came?.body?.fill(SPOILT);
      return more || came !== undefined;
    });
  return {
    members,
    engine,
    parted,
    carry: (carried) => void inboxes[carried.to]?.push(carried),
    step: () => step().includes(true),
    run() {
      for (let steps = 0; step().includes(true); steps++)
        if (steps > 1e6) throw new Error("the group does not come to rest");
    },
  };
}
