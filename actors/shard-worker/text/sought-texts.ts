/** The texts that a template looks for in messages. */
import type { Program } from "./jinja/ast.ts";

/**
 * Every literal that stands left of `in`, or among the arguments of a method (`.split("</think>")`): where an
 * assistant's message holds such a text, the template means to find it.
 */
export function soughtTexts(program: Program): readonly string[] {
  const found: string[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node) || node instanceof Map) {
      for (const each of node instanceof Map ? [...node].flat() : node) visit(each);
      return;
    }
    if (typeof node !== "object" || node === null) return;
    const shape = node as Readonly<Record<string, unknown>>;
    if (shape.type === "BinaryExpression" && isMembership(shape.operator)) keep(shape.left, found);
    if (shape.type === "CallExpression" && typeOf(shape.callee) === "MemberExpression") {
      for (const argument of shape.args as readonly unknown[]) keep(argument, found);
    }
    for (const each of Object.values(shape)) visit(each);
  };
  visit(program.body);
  return found;
}

const typeOf = (node: unknown): unknown => (node as { readonly type?: unknown } | null)?.type;
const isMembership = (operator: unknown): boolean =>
  ["in", "not in"].includes(String((operator as { readonly value?: unknown } | null)?.value));

function keep(node: unknown, found: string[]): void {
  if (typeOf(node) === "StringLiteral") found.push(String((node as { readonly value: unknown }).value));
}
