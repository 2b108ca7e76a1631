/** JSON.parse keeps the last of two equal keys and says nothing, so the keys themselves are read once more. */

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];
/** What a byte outside strings adds to the depth: braces and brackets. */
const deeper: ReadonlyMap<number, number> = new Map([
  [0x7b, 1],
  [0x5b, 1],
  [0x7d, -1],
  [0x5d, -1],
]);

/** The first key that stands twice in the outermost object of `json`, which must be sound JSON. */
export function repeatedKey(json: Uint8Array): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i];
    depth += byte === undefined ? 0 : (deeper.get(byte) ?? 0);
    if (byte === QUOTE) {
      const end = endOfString(json, i);
      if (depth === 1 && isFollowedByColon(json, end + 1)) {
        const key: string = JSON.parse(new TextDecoder().decode(json.subarray(i, end + 1)));
        if (seen.has(key)) return key;
        seen.add(key);
      }
      i = end;
    }
  }
  return undefined;
}

/** Where the quote is that ends the string starting at `start`. */
function endOfString(json: Uint8Array, start: number): number {
  let i = start + 1;
  while (i < json.length && json[i] !== QUOTE) i += json[i] === BACKSLASH ? 2 : 1;
  return i;
}

function isFollowedByColon(json: Uint8Array, from: number): boolean {
  let i = from;
  while (i < json.length && (json[i] ?? 0) <= 0x20) i++;
  return json[i] === COLON;
}
