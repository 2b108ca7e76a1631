/**
 * What all members agree on, as a function of the commands in the replicated log. Every node applies the same commands in the same
 * order, so that a wrong one must be refused by all alike: by nothing but the state before it and its own bytes.
 */
import { Decoder, Encoder } from "@msgpack/msgpack";
import { type Static, Type as t } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { authorityKey, followed, oldestOf } from "#actors/runtime/security/authority";
import { isSigned } from "#actors/runtime/security/member-list";
import { Authority, MEMBERS_MAX, MemberList } from "#protocol/cluster";
import { NodeId } from "#protocol/ids";
import { INSTANCES_MAX, PlacedInstance } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import { COMMAND_BYTES_MAX } from "#protocol/raft";
import { InstanceCommand, nextInstances } from "./instances.ts";
import { areSignedBoxes } from "./sealed-key.ts";

/** A rotated key is still understood until the next rotation: members that were asleep find home by it. */
const DISCOVERY_KEYS_MAX = 2;
const SETTINGS_MAX = 256;

const DiscoveryKey = t.Object({
  number: t.Integer({ minimum: 1, maximum: 2 ** 32 }),
  secret: t.Uint8Array({ minByteLength: 32, maxByteLength: 32 }),
});

/** A private key for one node's eyes. */
const Box = t.Uint8Array({ maxByteLength: 512 });
const Proof = t.Uint8Array({ minByteLength: 64, maxByteLength: 64 });
/** The cluster's key, sealed to each node that may sign with it. */
const Boxes = t.Record(t.String({ maxLength: 64 }), Box, { maxProperties: MEMBERS_MAX });

const settingName = t.String({ minLength: 1, maxLength: 64, pattern: "^[a-z][a-z0-9_.-]*$" });
const settingValue = t.String({ maxLength: 4096 });

export const ClusterState = t.Object({
  list: MemberList,
  /** Oldest first; the last one seals, all are understood. */
  discoveryKeys: t.Array(DiscoveryKey, { minItems: 1, maxItems: DISCOVERY_KEYS_MAX }),
  settings: t.Record(t.String(), settingValue),
  /** Models that several machines hold together; absent: none ever were. */
  instances: t.Optional(t.Array(PlacedInstance, { maxItems: INSTANCES_MAX })),
  /** Whose signature counts. */
  authority: Authority,
  /** Empty in a home of an early version: then it is not known who holds the key. */
  boxes: Boxes,
});
export type ClusterState = Static<typeof ClusterState>;

export const ClusterCommand = t.Union([
  /** Its version must be the next one, and the cluster's key must have signed it. `key`: as `rotate`, for who is forgotten has the one before. */
  t.Object({ type: t.Literal("list"), list: MemberList, key: t.Optional(DiscoveryKey) }),
  /** Another cluster key: the one before signed for it, and it signed the list, which follows the one before, and the boxes. */
  t.Object({
    type: t.Literal("authority"),
    authority: Authority,
    list: MemberList,
    boxes: Boxes,
    proof: Proof,
    key: t.Optional(DiscoveryKey),
  }),
  /** One more member holds the key of that number, which signed for it. */
  t.Object({
    type: t.Literal("entrust"),
    node: NodeId,
    number: t.Integer({ minimum: 1 }),
    box: Box,
    proof: Proof,
  }),
  /** Its number must be the next one. */
  t.Object({ type: t.Literal("rotate"), key: DiscoveryKey }),
  /** Without a value the setting goes back to its default. */
  t.Object({ type: t.Literal("set"), name: settingName, value: t.Optional(settingValue) }),
  InstanceCommand,
]);
export type ClusterCommand = Static<typeof ClusterCommand>;

const checkCommand = TypeCompiler.Compile(ClusterCommand);
const checkState = TypeCompiler.Compile(ClusterState);
const encoder = new Encoder({ ignoreUndefined: true, sortKeys: true });
const decoder = new Decoder({ maxStrLength: COMMAND_BYTES_MAX, maxBinLength: 4096, maxArrayLength: 4096 });

/** Throws Problem `tooLarge` over the log's limit. */
export function encodeCommand(command: ClusterCommand): Uint8Array {
  const bytes = encoder.encode(command);
  if (bytes.length <= COMMAND_BYTES_MAX) return bytes.slice();
  throw new Problem("tooLarge", `a change of ${bytes.length} bytes; the log takes ${COMMAND_BYTES_MAX}`);
}

export const encodeState = (state: ClusterState): Uint8Array => encoder.encode(state).slice();

/**
 * Throws Problem when the bytes are no state, as a damaged file would have them. `known`: the newest key that is known here;
 * a state that an early version wrote had the first.
 */
export function decodeState(bytes: Uint8Array, known: Authority): ClusterState {
  const read = decoded(bytes);
  const value = typeof read === "object" ? { authority: oldestOf(known), boxes: {}, ...read } : read;
  if (checkState.Check(value)) return value;
  throw new Problem("invalid", "the cluster's state cannot be read");
}

/** The state after one command, which is entry `index` of the log; throws Problem `invalid` for one that every member must refuse. */
export function applied(state: ClusterState, bytes: Uint8Array, index = 0): ClusterState {
  const command = bytes.length > COMMAND_BYTES_MAX ? undefined : decoded(bytes);
  if (!checkCommand.Check(command)) throw new Problem("invalid", "the change is not one that this exo knows");
  switch (command.type) {
    case "list":
      return {
        ...state,
        list: nextList(state, command.list, state.authority),
        discoveryKeys: nextKeys(state, command.key),
      };
    case "authority":
      return succeeded(state, command);
    case "entrust":
      return { ...state, boxes: entrusted(state, command) };
    case "rotate":
      return { ...state, discoveryKeys: nextKeys(state, command.key) };
    case "set":
      return { ...state, settings: nextSettings(state, command.name, command.value) };
    case "instance":
      return { ...state, instances: [...nextInstances(state.instances ?? [], command, index)] };
  }
}

/** Another's change came first: made anew after it, the same change may be right. */
const overtaken = (message: string): Problem => new Problem("invalid", message, { param: OVERTAKEN });
const OVERTAKEN = "epoch";
export const isOvertaken = (error: unknown): boolean => error instanceof Problem && error.param === OVERTAKEN;

type Command<Type extends ClusterCommand["type"]> = Extract<ClusterCommand, { type: Type }>;

function succeeded(state: ClusterState, command: Command<"authority">): ClusterState {
  const { number } = state.authority;
  const { number: next } = command.authority;
  const authority = followed(state.authority, command.authority);
  if (!authority || next !== number + 1) throw overtaken(`cluster key ${next} does not follow ${number}`);
  const list = nextList(state, command.list, authority);
  const { boxes, proof } = command;
  checkBoxes({ list, authority }, boxes, proof);
  return { ...state, authority, boxes, list, discoveryKeys: nextKeys(state, command.key) };
}

function entrusted(state: ClusterState, { node, number, box, proof }: Command<"entrust">) {
  // Also a right one is not for who has it already: what is there opened once.
  const isOther = number !== state.authority.number || state.boxes[node] !== undefined;
  if (isOther) throw new Problem("invalid", `${node.slice(0, 8)} cannot be given cluster key ${number}`);
  checkBoxes(state, { [node]: box }, proof);
  return { ...state.boxes, [node]: box };
}

function checkBoxes(
  { list, authority }: Pick<ClusterState, "list" | "authority">,
  boxes: Static<typeof Boxes>,
  proof: Uint8Array,
): void {
  const { number } = authority;
  const mayHold = (node: string) => list.members.some((each) => each.node === node && each.role !== "worker");
  const stranger = Object.keys(boxes).find((node) => !mayHold(node));
  if (stranger !== undefined)
    throw new Problem("invalid", `${stranger.slice(0, 8)} cannot be given cluster key ${number}`);
  if (!areSignedBoxes(authorityKey(authority.pem), { cluster: list.cluster, number, boxes }, proof))
    throw new Problem("invalid", `cluster key ${number} did not sign for who holds it`);
}

function nextList({ list: before }: ClusterState, list: MemberList, { pem }: Authority): MemberList {
  if (list.cluster !== before.cluster) throw new Problem("invalid", "the member list is another cluster's");
  if (list.version !== before.version + 1)
    throw overtaken(`member list ${list.version} does not follow ${before.version}`);
  if (list.minimumMinor < before.minimumMinor)
    throw new Problem("invalid", "a member list may not lower the oldest protocol version");
  if (new Set(list.members.map(({ node }) => node)).size !== list.members.length)
    throw new Problem("invalid", "a member is on the list twice");
  if (!isSigned(list, authorityKey(pem)))
    throw new Problem("invalid", "the member list is not signed by the cluster's key");
  return list;
}

function nextKeys({ discoveryKeys }: ClusterState, key: Static<typeof DiscoveryKey> | undefined) {
  if (!key) return discoveryKeys;
  const last = discoveryKeys.at(-1)?.number ?? 0;
  if (key.number !== last + 1) throw overtaken(`discovery key ${key.number} does not follow ${last}`);
  return [...discoveryKeys, key].slice(-DISCOVERY_KEYS_MAX);
}

function nextSettings({ settings }: ClusterState, name: string, value: string | undefined) {
  if (value === undefined) {
    const { [name]: _, ...others } = settings;
    return others;
  }
  if (!Object.hasOwn(settings, name) && Object.keys(settings).length >= SETTINGS_MAX)
    throw new Problem("invalid", `${SETTINGS_MAX} settings are set already`);
  return { ...settings, [name]: value };
}

function decoded(bytes: Uint8Array): unknown {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined; // What is no msgpack is no command: the check says so.
  }
}
