/** Finds added tokens in text, the longest at the first place, as the reference does. */
import type { AddedTokenEntry } from "./tokenizer-json.ts";

/** A run of ordinary text, or an added token. */
export type Section = { readonly text: string } | { readonly id: number };

const wordBefore = /[\p{L}\p{M}\p{N}_]$/u;
const wordAfter = /^[\p{L}\p{M}\p{N}_]/u;
const spaceBefore = /\p{White_Space}+$/u;
const spaceAfter = /^\p{White_Space}+/u;

/** The added tokens of one tokenizer, indexed by their first UTF-16 unit. */
export class AddedTokens {
  readonly #byFirst = new Map<string, AddedTokenEntry[]>();
  readonly #first: RegExp | undefined;

  constructor(entries: readonly AddedTokenEntry[]) {
    for (const entry of entries) {
      const first = entry.content[0];
      if (first === undefined) continue;
      this.#byFirst.set(first, [...(this.#byFirst.get(first) ?? []), entry]);
    }
    for (const bucket of this.#byFirst.values()) bucket.sort((a, b) => b.content.length - a.content.length);
    if (this.#byFirst.size > 0) {
      const codes = [...this.#byFirst.keys()].map(
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
      );
      // Without the u flag, so that half of a surrogate pair is a unit like any other.
      this.#first = new RegExp(`[${codes.join("")}]`, "g");
    }
  }

  /** Cuts text into ordinary runs (never empty) and added tokens. */
  split(text: string): Section[] {
    const sections: Section[] = [];
    let start = 0;
    for (const { index, entry } of this.#matches(text)) {
      let end = index + entry.content.length;
      const before = text.slice(start, index);
      const kept = entry.lstrip ? before.replace(spaceBefore, "") : before;
      if (kept !== "") sections.push({ text: kept });
      sections.push({ id: entry.id });
      if (entry.rstrip) end += spaceAfter.exec(text.slice(end))?.[0].length ?? 0;
      start = end;
    }
    if (start < text.length) sections.push({ text: text.slice(start) });
    return sections;
  }

  /** Every place where a token could begin, overlapping ones too. */
  *starts(text: string): Generator<number> {
    if (!this.#first) return;
    for (const { index } of text.matchAll(this.#first)) if (this.#at(text, index)) yield index;
  }

  *#matches(text: string): Generator<{ readonly index: number; readonly entry: AddedTokenEntry }> {
    if (!this.#first) return;
    let free = 0;
    for (const { index } of text.matchAll(this.#first)) {
      if (index < free) continue;
      const entry = this.#at(text, index);
      if (!entry) continue;
      yield { index, entry };
      free = index + entry.content.length;
    }
  }

  #at(text: string, index: number): AddedTokenEntry | undefined {
    return this.#byFirst.get(text[index] ?? "")?.find((entry) => {
      if (!text.startsWith(entry.content, index)) return false;
      if (!entry.single_word) return true;
      const end = index + entry.content.length;
      // Two units are enough to hold the neighbouring character whole.
      return (
        !wordBefore.test(text.slice(Math.max(0, index - 2), index)) &&
        !wordAfter.test(text.slice(end, end + 2))
      );
    });
  }
}
