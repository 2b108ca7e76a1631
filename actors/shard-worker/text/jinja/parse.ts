/** Template source to syntax tree, by the lexer and parser of `@huggingface/jinja`, with what they leave out added. */
import { parse as parseTokens, tokenize } from "@huggingface/jinja";
import type { Program } from "./ast.ts";

type Token = ReturnType<typeof tokenize>[number];

/** What may follow a test's name without being its argument. */
const words = new Set(["and", "or", "not", "else", "if", "in", "is", "recursive"]);
const literals = new Set<Token["type"]>(["StringLiteral", "NumericLiteral"]);

/** @throws Error for source that is not a template. */
export function parseTemplate(source: string): Program {
  // Python reads every end of line as one newline.
  const lines = source.replace(/\r\n?/g, "\n");
  const tokens = tokenize(lines, { lstrip_blocks: true, trim_blocks: true });
  return parseTokens(tuplesAsFilters(testsAsFilters(tokens))) as unknown as Program;
}

/**
 * The parser knows tests without arguments only. `x is divisibleby(3)`, `x is in [1, 2]` and `x is eq "a"` become
 * filters with names that no filter can have: `is divisibleby`, `is not in`.
 */
function testsAsFilters(tokens: readonly Token[]): Token[] {
  const result: Token[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const test = testAt(tokens, at);
    if (!test) {
      const token = tokens[at];
      if (token) result.push(token);
      continue;
    }
    result.push(made("|", "Pipe"), made(test.name, "Identifier"));
    at = test.last;
    if (test.argument) {
      result.push(made("(", "OpenParen"), ...testsAsFilters(test.argument), made(")", "CloseParen"));
    }
  }
  return result;
}

interface TestFound {
  readonly name: string;
  /** The last token that the test's name takes, or its argument where that stands without brackets. */
  readonly last: number;
  readonly argument?: readonly Token[];
}

function testAt(tokens: readonly Token[], at: number): TestFound | undefined {
  if (!isWord(tokens[at], "is") || tokens[at - 1]?.type === "Dot") return undefined;
  const negated = isWord(tokens[at + 1], "not");
  const place = at + (negated ? 2 : 1);
  const test = tokens[place];
  const next = tokens[place + 1];
  if (test?.type !== "Identifier" || !next) return undefined;
  const name = `${negated ? "is not" : "is"} ${test.value}`;
  if (next.type === "OpenParen") return { name, last: place };
  if (next.type === "OpenSquareBracket") {
    const last = closing(tokens, place + 1);
    return { name, last, argument: tokens.slice(place + 1, last + 1) };
  }
  if (!literals.has(next.type) && (next.type !== "Identifier" || words.has(next.value))) return undefined;
  let last = place + 1;
  while (tokens[last + 1]?.type === "Dot" && tokens[last + 2]?.type === "Identifier") last += 2;
  return { name, last, argument: tokens.slice(place + 1, last + 1) };
}

const isWord = (token: Token | undefined, word: string): boolean =>
  token?.type === "Identifier" && token.value === word;

function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    if (tokens[at]?.type === "OpenSquareBracket") depth++;
    if (tokens[at]?.type === "CloseSquareBracket" && --depth === 0) return at;
  }
  return tokens.length - 1;
}

/**
 * The parser knows no tuple with a comma at its end. `(a, b,)` loses the comma; `(a,)` and `()` become lists made
 * into tuples by a filter of a name that no filter can have.
 */
function tuplesAsFilters(tokens: readonly Token[]): Token[] {
  const result: Token[] = [];
  const open: Bracket[] = [];
  for (const [index, token] of tokens.entries()) {
    if (brackets.open.has(token.type)) open.push(bracket(token, result));
    const inner = open.at(-1);
    const atEnd = inner?.plain === true && tokens[index + 1]?.type === "CloseParen";
    if (!atEnd || token.type !== "Comma") result.push(token);
    if (atEnd && isTupleOf(inner, token)) asTuple(result, inner.at + 1);
    if (inner && token.type === "Comma") inner.comma = true;
    if (brackets.close.has(token.type)) open.pop();
  }
  return result;
}

/** Whether the last token before a closing bracket makes a tuple of what is inside: `(a,)` or `()`. */
const isTupleOf = (inner: Bracket, last: Token): boolean =>
  last.type === "OpenParen" || (last.type === "Comma" && !inner.comma);

const bracket = (token: Token, before: readonly Token[]): Bracket => ({
  at: before.length,
  plain: token.type === "OpenParen" && !isCalled(before.at(-1)),
  comma: false,
});

interface Bracket {
  readonly at: number;
  /** Round, and not a call's. */
  readonly plain: boolean;
  /** Whether a comma was seen right inside. */
  comma: boolean;
}

const brackets = {
  open: new Set<Token["type"]>(["OpenParen", "OpenSquareBracket", "OpenCurlyBracket"]),
  close: new Set<Token["type"]>(["CloseParen", "CloseSquareBracket", "CloseCurlyBracket"]),
};

/** Whether a bracket after this token is a call's. */
const isCalled = (before: Token | undefined): boolean =>
  before?.type === "CloseParen" ||
  before?.type === "CloseSquareBracket" ||
  (before?.type === "Identifier" && !words.has(before.value));

function asTuple(tokens: Token[], from: number): void {
  tokens.splice(from, 0, made("[", "OpenSquareBracket"));
  tokens.push(made("]", "CloseSquareBracket"), made("|", "Pipe"), made("to tuple", "Identifier"));
}

const made = (value: string, type: Token["type"]): Token => ({ value, type });
