/** Runs a template: statements to text. */
import type {
  CallBlock,
  Expression,
  For,
  Macro,
  Member,
  Parameter,
  Program,
  SetBlock,
  Statement,
} from "./ast.ts";
import { Budget, maxSteps } from "./budget.ts";
import { Expressions, Scope } from "./expressions.ts";
import {
  Attributes,
  bounded,
  type Callable,
  items,
  maxLength,
  Namespace,
  print,
  TemplateError,
  Tuple,
  truth,
  type Value,
} from "./values.ts";

/** How a block ended. */
type Ending = "end" | "break" | "continue";

/**
 * The text of a template with these variables. It works at once and alone: no clock, no I/O.
 * @throws TemplateError for a template that fails, or that does more than `steps` steps.
 */
export function render(
  program: Program,
  variables: Readonly<Record<string, Value>>,
  steps = maxSteps,
): string {
  const scope = new Scope();
  for (const [name, value] of Object.entries(variables)) scope.set(name, value);
  return new Renderer(new Budget(steps)).text(program.body, new Scope(scope));
}

class Renderer {
  readonly #budget: Budget;
  readonly #expressions: Expressions;
  #written = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
    this.#expressions = new Expressions(budget);
  }

  text(body: readonly Statement[], scope: Scope): string {
    const out: string[] = [];
    this.#block(body, scope, out);
    return bounded(out.join(""));
  }

  #block(body: readonly Statement[], scope: Scope, out: string[]): Ending {
    for (const statement of body) {
      const ending = this.#statement(statement, scope, out);
      if (ending !== "end") return ending;
    }
    return "end";
  }

  #statement(node: Statement, scope: Scope, out: string[]): Ending {
    switch (node.type) {
      case "If":
        return this.#block(truth(this.#value(node.test, scope)) ? node.body : node.alternate, scope, out);
      case "For":
        this.#for(node, scope, out);
        return "end";
      case "Break":
        return "break";
      case "Continue":
        return "continue";
      case "Comment":
        return "end";
      case "Set":
        this.#set(node, scope);
        return "end";
      case "Macro":
        scope.set(node.name.value, this.#macro(node.name.value, node, scope));
        return "end";
      case "CallStatement":
        this.#write(this.#callBlock(node, scope), out);
        return "end";
      case "FilterStatement":
        this.#write(
          this.#expressions.filter(this.text(node.body, new Scope(scope)), node.filter, scope),
          out,
        );
        return "end";
      default:
        this.#write(this.#value(node, scope), out);
        return "end";
    }
  }

  #value(node: Expression, scope: Scope): Value {
    return this.#expressions.evaluate(node, scope);
  }

  #write(value: Value, out: string[]): void {
    const text = print(value);
    this.#written += text.length;
    if (this.#written > maxLength) throw new TemplateError(`it writes more than ${maxLength} characters`);
    this.#budget.spend(1 + (text.length >> 6));
    out.push(text);
  }

  /** Names set in a turn of the loop are gone in the next, as in Jinja. */
  #for(node: For, scope: Scope, out: string[]): void {
    const { iterable } = node;
    const filtered = iterable.type === "SelectExpression";
    const all = items(this.#value(filtered ? iterable.lhs : iterable, scope));
    const turns = filtered ? all.filter((item) => this.#passes(node, iterable.test, item, scope)) : all;
    for (const [index, item] of turns.entries()) {
      this.#budget.spend(1);
      const inner = new Scope(scope);
      inner.set("loop", loopAt(turns, index));
      assign(node.loopvar, item, inner);
      if (this.#block(node.body, inner, out) === "break") break;
    }
    if (turns.length === 0) this.#block(node.defaultBlock, new Scope(scope), out);
  }

  #passes(node: For, test: Expression, item: Value, scope: Scope): boolean {
    const inner = new Scope(scope);
    assign(node.loopvar, item, inner);
    return truth(this.#value(test, inner));
  }

  #set(node: SetBlock, scope: Scope): void {
    const value = node.value ? this.#value(node.value, scope) : this.text(node.body, new Scope(scope));
    const { assignee } = node;
    if (assignee.type === "FilterExpression") {
      // `{% set x | filter %}…{% endset %}`: the block goes through the filter.
      assign(assignee.operand, this.#expressions.filter(value, assignee.filter, scope), scope);
    } else if (assignee.type === "MemberExpression") this.#setAttribute(assignee, value, scope);
    else assign(assignee, value, scope);
  }

  #setAttribute(assignee: Member, value: Value, scope: Scope): void {
    const owner = this.#value(assignee.object, scope);
    const { property } = assignee;
    if (!(owner instanceof Namespace) || property.type !== "Identifier") {
      throw new TemplateError("cannot assign attribute on non-namespace object");
    }
    owner.attributes.set(property.value, value);
  }

  #callBlock(node: CallBlock, scope: Scope): Value {
    const callee = this.#value(node.call.callee, scope);
    if (typeof callee !== "function") throw new TemplateError("a call block needs a macro");
    const [args, named] = this.#expressions.arguments(node.call.args, scope);
    named.set("caller", this.#macro("caller", { args: node.callerArgs ?? [], body: node.body }, scope));
    return callee(args, named);
  }

  /** A macro sees the names where it was written, not where it is called. */
  #macro(name: string, { args: parameters, body }: Pick<Macro, "args" | "body">, outer: Scope): Callable {
    return (args, named) =>
      this.#budget.nested(() => {
        const scope = new Scope(outer);
        const spare = new Map(named);
        scope.set("caller", spare.get("caller"));
        spare.delete("caller");
        parameters.forEach((parameter, index) => {
          const key = parameterName(parameter);
          const given = index < args.length || spare.has(key);
          scope.set(key, index < args.length ? args[index] : spare.get(key));
          if (!given && parameter.type !== "Identifier") scope.set(key, this.#value(parameter.value, scope));
          spare.delete(key);
        });
        scope.set("varargs", Tuple.from(args.slice(parameters.length)) as Tuple);
        scope.set("kwargs", new Map(spare));
        if (args.length > parameters.length && !mentions(body, "varargs")) {
          throw new TemplateError(`macro '${name}' takes not more than ${parameters.length} argument(s)`);
        }
        const [extra] = spare.keys();
        if (extra !== undefined && !mentions(body, "kwargs")) {
          throw new TemplateError(`macro '${name}' takes no keyword argument '${extra}'`);
        }
        return this.text(body, scope);
      });
  }
}

const parameterName = (parameter: Parameter): string =>
  parameter.type === "Identifier" ? parameter.value : parameter.key.value;

/** Whether a name occurs anywhere in a macro: only then does it take arguments it did not declare. */
function mentions(body: readonly Statement[], name: string): boolean {
  return JSON.stringify(body).includes(`{"type":"Identifier","value":${JSON.stringify(name)}}`);
}

/** Gives names to a value: one name, or several in round brackets for the items of a list. */
function assign(target: Expression, value: Value, scope: Scope): void {
  if (target.type === "Identifier") {
    scope.set(target.value, value);
    return;
  }
  if (target.type !== "TupleLiteral") throw new TemplateError(`cannot assign to a ${target.type}`);
  const parts = items(value);
  if (parts.length !== target.value.length) {
    const few = parts.length < target.value.length;
    throw new TemplateError(
      few
        ? `not enough values to unpack (expected ${target.value.length}, got ${parts.length})`
        : `too many values to unpack (expected ${target.value.length})`,
    );
  }
  for (const [index, each] of target.value.entries()) assign(each, parts[index], scope);
}

/** The `loop` variable. https://jinja.palletsprojects.com/en/stable/templates/#for */
function loopAt(turns: readonly Value[], index: number): Attributes {
  const { length } = turns;
  const known: Readonly<Record<string, () => Value>> = {
    index: () => index + 1,
    index0: () => index,
    revindex: () => length - index,
    revindex0: () => length - index - 1,
    first: () => index === 0,
    last: () => index === length - 1,
    length: () => length,
    previtem: () => (index > 0 ? turns[index - 1] : undefined),
    nextitem: () => turns[index + 1],
    depth: () => 1,
    depth0: () => 0,
    cycle: () => (args) => args[index % Math.max(1, args.length)],
  };
  return new Attributes((name) => (Object.hasOwn(known, name) ? known[name]?.() : undefined));
}
