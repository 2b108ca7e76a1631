/** The texts that a template looks for in messages. */
import type { Program } from "./jinja/ast.ts";

/**
 * Every literal that stands left of `in`, or among the arguments of a method (`.split("</think>")`): where an
 * assistant's message holds such a text, the template means to find it.
 */
export function soughtTexts(program: Program): readonly string[] {
  return nodesIn(program.body).flatMap((node) => searchedBy(node).flatMap(literal));
}

type Node = Readonly<Record<string, unknown>>;

/** All objects of the tree, at any depth. */
function nodesIn(tree: unknown): Node[] {
  if (typeof tree !== "object" || tree === null) return [];
  if (tree instanceof Map) return [...tree].flat().flatMap(nodesIn);
  const below = Object.values(tree).flatMap(nodesIn);
  return Array.isArray(tree) ? below : [tree as Node, ...below];
}

function searchedBy(node: Node): readonly unknown[] {
  if (node.type === "BinaryExpression") {
    return ["in", "not in"].includes(String((node.operator as Node).value)) ? [node.left] : [];
  }
  const isMethod = node.type === "CallExpression" && (node.callee as Node).type === "MemberExpression";
  return isMethod && Array.isArray(node.args) ? node.args : [];
}

const literal = (node: unknown): readonly string[] =>
  (node as Node).type === "StringLiteral" ? [String((node as Node).value)] : [];
