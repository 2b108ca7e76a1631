/** Everything that is said between nodes, with sample bytes: what protocol/golden/ keeps for each version. */

import { encode } from "#protocol/codec";
import { encodeHello, Hello } from "#protocol/hello";
import type { Address } from "#protocol/ids";
import { type AnyMessage, declared } from "#protocol/message";
import { samples } from "./samples.ts";

const ROOT = `${import.meta.dir}/../..`;
const TO = "there/actor" as Address;
const FROM = "here/actor" as Address;

/** Bytes in hex of each sample, by name of what is said. */
export type Golden = Readonly<Record<string, readonly string[]>>;

/** Every module that declares messages, so that all are known. */
async function learnAll(): Promise<void> {
  for await (const file of new Bun.Glob("protocol/*.ts").scan({ cwd: ROOT }))
    if (!file.endsWith(".test.ts")) await import(`${ROOT}/${file}`);
}

/** What this source says now. */
export async function spoken(): Promise<Golden> {
  await learnAll();
  const messages = [...declared()].sort(([a], [b]) => (a < b ? -1 : 1));
  const named = messages.map(([type, schema]) => [
    type,
    samples(schema).map((fields) => {
      const message = { type, ...(fields as object) } as AnyMessage;
      return encode({ to: TO, from: FROM, id: 7, message }).toHex();
    }),
  ]);
  const hello = samples(Hello).map((value) => new Uint8Array(encodeHello(value as Hello)).toHex());
  return Object.fromEntries([["hello", hello], ...named]);
}

export const goldenFile = (minor: number): string => `${ROOT}/protocol/golden/1.${minor}.json`;

/** Versions that are written down, by minor number. */
export async function versions(): Promise<readonly number[]> {
  const names = await Array.fromAsync(new Bun.Glob("1.*.json").scan({ cwd: `${ROOT}/protocol/golden` }));
  return names.map((name) => Number(name.slice(2, -".json".length))).sort((a, b) => a - b);
}
