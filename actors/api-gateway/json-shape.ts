/** Whether JSON is of a shape worth parsing, counted over its bytes before anything of it is built; and what of it no message can carry. */
import { Fault } from "./dialects/fault.ts";
import { JSON_DEPTH_MAX, JSON_VALUES_MAX } from "./limits.ts";

/** Characters of a client's field that a refusal repeats. */
const NAME_SHOWN = 60;

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Throws a Fault for too many levels or values. Anything else that is wrong is left to the parser. */
export function checkShape(json: Uint8Array): void {
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  let depth = 0;
  let values = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfText(bytes, at);
    else if (byte === COMMA) values += 1;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      depth += 1;
      values += 1;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1;
    if (depth > JSON_DEPTH_MAX)
      throw new Fault("invalid_json", `the body is nested deeper than ${JSON_DEPTH_MAX} levels`);
    if (values > JSON_VALUES_MAX)
      throw new Fault("invalid_json", `the body has more than ${JSON_VALUES_MAX} values`);
  }
}

/** The place of the closing quote; the end, if there is none. */
function endOfText(bytes: Buffer, start: number): number {
  for (let at = start + 1; ; at++) {
    at = bytes.indexOf(QUOTE, at);
    if (at < 0) return bytes.length;
    let slashes = 0;
    while (bytes[at - 1 - slashes] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
}

/**
 * Throws a Fault for what JSON can say and messages between processes cannot (protocol/msgpack.ts): the field `__proto__`, and numbers
 * that JSON.parse makes infinite. Who hears such a message ends the link that brought it, and with it what others asked there.
 */
export function checkCarryable(json: unknown): void {
  const odd = oddIn(json);
  if (!odd) return;
  const param = odd.steps.reverse().join("").replace(/^\./, "");
  throw new Fault("invalid_value", `\`${param}\` ${odd.what}`, { param });
}

interface Odd {
  readonly what: string;
  /** The way to it, its last step first. */
  readonly steps: string[];
}

function oddIn(value: unknown): Odd | undefined {
  if (typeof value === "number" && !Number.isFinite(value))
    return { what: `is beyond the largest number, ${Number.MAX_VALUE}`, steps: [] };
  if (typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) return oddInList(value);
  if (Object.hasOwn(value, "__proto__")) return { what: "is no name for a field", steps: [".__proto__"] };
  for (const key of Object.keys(value)) {
    const odd = oddIn((value as Readonly<Record<string, unknown>>)[key]);
    if (!odd) continue;
    odd.steps.push(`.${key.slice(0, NAME_SHOWN)}`);
    return odd;
  }
  return undefined;
}

/** By index: a list of token ids is long, and a pair with a text made of each would hold up everything else of this process. */
function oddInList(list: readonly unknown[]): Odd | undefined {
  for (let i = 0; i < list.length; i++) {
    const odd = oddIn(list[i]);
    if (!odd) continue;
    odd.steps.push(`[${i}]`);
    return odd;
  }
  return undefined;
}
