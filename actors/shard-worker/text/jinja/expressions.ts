/** Evaluates expressions of a template. */
import type { Argument, Binary, Call, Expression, FilterCall, Member } from "./ast.ts";
import { attribute, sliced, subscript } from "./attributes.ts";
import type { Budget } from "./budget.ts";
import { filterNamed } from "./filters.ts";
import { negate, operate } from "./operators.ts";
import { mapAttribute } from "./sequence-filters.ts";
import { testNamed } from "./tests.ts";
import {
  type Callable,
  Float,
  isDict,
  isList,
  items,
  type Named,
  print,
  TemplateError,
  Tuple,
  truth,
  typeName,
  type Value,
} from "./values.ts";

/** Names and their values, and the names outside. */
export class Scope {
  readonly outer: Scope | undefined;
  readonly #values = new Map<string, Value>();

  constructor(outer?: Scope) {
    this.outer = outer;
  }

  get(name: string): Value {
    return this.#values.has(name) ? this.#values.get(name) : this.outer?.get(name);
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }
}

const noneNamed: Named = new Map();

export class Expressions {
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** The value of an expression; every step is taken off the budget. */
  evaluate(node: Expression, scope: Scope): Value {
    this.#budget.spend(1);
    switch (node.type) {
      case "IntegerLiteral":
      case "StringLiteral":
        return node.value;
      case "FloatLiteral":
        return new Float(node.value);
      case "Identifier":
        return scope.get(node.value);
      case "ArrayLiteral":
        return node.value.map((each) => this.evaluate(each, scope));
      case "TupleLiteral":
        return Tuple.from(node.value.map((each) => this.evaluate(each, scope))) as Tuple;
      case "ObjectLiteral":
        return new Map(
          [...node.value].map(([key, each]) => [this.evaluate(key, scope), this.evaluate(each, scope)]),
        );
      case "CallExpression":
        return this.#call(node, scope);
      case "MemberExpression":
        return this.#member(node, scope);
      case "FilterExpression":
        return this.filter(this.evaluate(node.operand, scope), node.filter, scope);
      case "TestExpression":
        return testNamed(node.test.value)(this.evaluate(node.operand, scope), undefined) !== node.negate;
      default:
        return this.#operation(node, scope);
    }
  }

  /** Applies a filter, or a test that the parser's front made a filter of. */
  filter(value: Value, call: FilterCall, scope: Scope): Value {
    const name = call.type === "Identifier" ? call.value : nameOf(call);
    const [args, named] = call.type === "Identifier" ? [[], noneNamed] : this.arguments(call.args, scope);
    const test = /^is (not )?(\S+)$/.exec(name);
    if (test) return testNamed(test[2] ?? "")(value, args[0]) === (test[1] === undefined);
    this.#charge(value);
    const result = name === "map" ? this.#map(value, args, named) : filterNamed(name)(value, args, named);
    this.#charge(result);
    return result;
  }

  /** Positional and named arguments, evaluated in Python's order. */
  arguments(nodes: readonly Argument[], scope: Scope): [Value[], Map<string, Value>] {
    const args: Value[] = [];
    const named = new Map<string, Value>();
    for (const node of nodes) {
      if (node.type === "SpreadExpression") args.push(...items(this.evaluate(node.argument, scope)));
      else if (node.type === "KeywordArgumentExpression")
        named.set(node.key.value, this.evaluate(node.value, scope));
      else if (node.type === "KeywordSpreadExpression") {
        const spread = this.evaluate(node.argument, scope);
        if (!isDict(spread))
          throw new TemplateError(`argument after ** must be a mapping, not ${typeName(spread)}`);
        for (const [key, value] of spread) named.set(print(key), value);
      } else args.push(this.evaluate(node, scope));
    }
    return [args, named];
  }

  #operation(node: Expression, scope: Scope): Value {
    switch (node.type) {
      case "BinaryExpression":
        return this.#binary(node, scope);
      case "UnaryExpression": {
        const value = this.evaluate(node.argument, scope);
        return node.operator.value === "not" ? !truth(value) : negate(node.operator.value, value);
      }
      case "Ternary":
        return this.evaluate(
          truth(this.evaluate(node.condition, scope)) ? node.trueExpr : node.falseExpr,
          scope,
        );
      case "SelectExpression":
        return truth(this.evaluate(node.test, scope)) ? this.evaluate(node.lhs, scope) : undefined;
      default:
        throw new TemplateError(`a ${node.type} is not supported`);
    }
  }

  #binary(node: Binary, scope: Scope): Value {
    const left = this.evaluate(node.left, scope);
    const sign = node.operator.value;
    // `and` and `or` give one of their operands and may leave the other alone.
    if (sign === "and" || sign === "or") {
      return truth(left) === (sign === "and") ? this.evaluate(node.right, scope) : left;
    }
    const result = operate(sign, left, this.evaluate(node.right, scope));
    this.#charge(result);
    return result;
  }

  #call(node: Call, scope: Scope): Value {
    const callee = this.evaluate(node.callee, scope);
    const [args, named] = this.arguments(node.args, scope);
    if (typeof callee !== "function") {
      const name = node.callee.type === "Identifier" ? node.callee.value : "value";
      throw new TemplateError(
        callee === undefined ? `'${name}' is undefined` : `'${typeName(callee)}' object is not callable`,
      );
    }
    return this.call(callee, args, named);
  }

  call(callee: Callable, args: readonly Value[], named: Named): Value {
    const result = callee(args, named);
    this.#charge(result);
    return result;
  }

  #member(node: Member, scope: Scope): Value {
    const value = this.evaluate(node.object, scope);
    const { property } = node;
    if (property.type === "SliceExpression") {
      const { start, stop, step } = property;
      const bounds = [start, stop, step].map((bound) => (bound ? this.evaluate(bound, scope) : undefined));
      const result = sliced(value, bounds);
      this.#charge(result);
      return result;
    }
    if (node.computed) return subscript(value, this.evaluate(property, scope));
    if (property.type === "Identifier") return attribute(value, property.value);
    return subscript(value, this.evaluate(property, scope));
  }

  #map(value: Value, args: readonly Value[], named: Named): Value {
    if (named.has("attribute")) return mapAttribute(value, named.get("attribute"), named.get("default"));
    const [name, ...rest] = args;
    const filter = filterNamed(print(name));
    return items(value).map((item) => filter(item, rest, named));
  }

  /** Long values cost steps too, or few steps could do much work. */
  #charge(value: Value): void {
    if (typeof value === "string") this.#budget.spend(value.length >> 6);
    else if (isList(value)) this.#budget.spend(value.length >> 2);
  }
}

function nameOf(call: Call): string {
  if (call.callee.type === "Identifier") return call.callee.value;
  throw new TemplateError("a filter must have a name");
}
