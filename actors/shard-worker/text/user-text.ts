/**
 * Keeps users from writing control tokens. A template joins its own control tokens with what users wrote; after that
 * nobody can tell them apart. So before rendering each control token in a user's text is broken by a mark, and after
 * the control tokens of the rendered text have been found, the marks are taken out again.
 */
import type { AddedTokens } from "./added-tokens.ts";

/** Code points that Unicode reserves for such use inside programs; they are never text. */
const marks = Array.from({ length: 32 }, (_, at) => String.fromCharCode(0xfdd0 + at));

/** A character that none of the data holds; undefined if users wrote all of them. */
export function freeMark(data: unknown): string | undefined {
  const text = JSON.stringify(data) ?? "";
  return marks.find((mark) => !text.includes(mark));
}

/** The text with a mark after the first character of each place where a control token could begin. */
export function disarmed(text: string, control: AddedTokens, mark: string): string {
  let result = "";
  let done = 0;
  for (const start of control.starts(text)) {
    const cut = start + String.fromCodePoint(text.codePointAt(start) ?? 0).length;
    result += text.slice(done, cut) + mark;
    done = cut;
  }
  return result + text.slice(done);
}

/** The same data with every text in it passed through `change`; keys of objects too. */
export function mapTexts(data: unknown, change: (text: string) => string): unknown {
  if (typeof data === "string") return change(data);
  if (Array.isArray(data)) return data.map((each) => mapTexts(each, change));
  if (typeof data !== "object" || data === null || Object.getPrototypeOf(data) !== Object.prototype)
    return data;
  return Object.fromEntries(Object.entries(data).map(([key, each]) => [change(key), mapTexts(each, change)]));
}
