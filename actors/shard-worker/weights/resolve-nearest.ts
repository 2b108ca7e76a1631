/** The known name that a user most likely meant. */

/** Edits further away than this share of the name are another name, not a slip. */
const MAX_SHARE = 0.34;

/** The nearest of the names known, or undefined if none is near: one that begins as asked first, then by edit distance. */
export function nearest(asked: string, known: readonly string[]): string | undefined {
  const low = asked.toLowerCase();
  const names = known.filter((name) => name.toLowerCase() !== low);
  const begins = names
    .filter((name) => name.toLowerCase().startsWith(low))
    .sort((a, b) => a.length - b.length);
  if (low.length > 2 && begins[0] !== undefined) return begins[0];
  let best: { name: string; edits: number } | undefined;
  for (const name of names) {
    const edits = distance(low, name.toLowerCase());
    if (
      edits <= Math.max(1, Math.floor(name.length * MAX_SHARE)) &&
      edits < (best?.edits ?? Number.POSITIVE_INFINITY)
    ) {
      best = { name, edits };
    }
  }
  return best?.name;
}

/** Levenshtein's distance, two rows at a time. */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    above = row;
  }
  return above[b.length] ?? 0;
}
