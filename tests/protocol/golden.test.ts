/** Bytes are a contract: what a version has said is understood for ever, and does not change without a new version. */
import { expect, test } from "bun:test";
import { decode } from "#protocol/codec";
import { decodeHello, MINOR_VERSION, MINOR_VERSION_OLDEST } from "#protocol/hello";
import { type Golden, goldenFile, spoken, versions } from "./spoken.ts";

const HOW = `Bytes of protocol 1.${MINOR_VERSION} are others than protocol/golden/1.${MINOR_VERSION}.json holds.
 - A new message or a new optional field: raise MINOR_VERSION in protocol/hello.ts if 1.${MINOR_VERSION} was released, then \`bun run golden\`.
 - Before the release of 1.${MINOR_VERSION}: delete the changed lines of the file, then \`bun run golden\`.
 - Anything else (a field renamed, removed, of another type): do not; add a field or a message beside it.`;

const recorded = async (minor: number): Promise<Golden> => await Bun.file(goldenFile(minor)).json();

test(`what protocol 1.${MINOR_VERSION} says has the bytes that are written down`, async () => {
  const [golden, now] = [await recorded(MINOR_VERSION), await spoken()];
  const changed = Object.keys({ ...golden, ...now }).filter(
    (name) => !Bun.deepEquals(golden[name], now[name]),
  );
  expect(changed.length === 0 ? "" : `${HOW}\nThese: ${changed.join(", ")}`).toBe("");
});

function refusal(name: string, hex: string): readonly string[] {
  const bytes = Uint8Array.fromHex(hex);
  try {
    if (name === "hello") decodeHello(bytes);
    else decode(bytes);
    return [];
  } catch (error) {
    return [String(error)];
  }
}

test("every message of every version that is still spoken is understood", async () => {
  await spoken();
  const minors = (await versions()).filter((minor) => minor >= MINOR_VERSION_OLDEST);
  const golden = await Promise.all(minors.map(recorded));
  const refused = golden.flatMap((all) =>
    Object.entries(all).flatMap(([name, lines]) => lines.flatMap((hex) => refusal(name, hex))),
  );
  expect(refused).toEqual([]);
});
