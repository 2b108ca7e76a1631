/** The syntax tree of a template as `@huggingface/jinja` parses it; the package keeps these types to itself. */

interface Operator {
  readonly value: string;
}
export interface Identifier {
  readonly type: "Identifier";
  readonly value: string;
}
export interface Call {
  readonly type: "CallExpression";
  readonly callee: Expression;
  readonly args: readonly Argument[];
}
export interface Member {
  readonly type: "MemberExpression";
  readonly object: Expression;
  readonly property: Expression | Slice;
  /** `object[property]` rather than `object.property`. */
  readonly computed: boolean;
}
export interface Slice {
  readonly type: "SliceExpression";
  readonly start?: Expression;
  readonly stop?: Expression;
  readonly step?: Expression;
}
export interface Binary {
  readonly type: "BinaryExpression";
  readonly operator: Operator;
  readonly left: Expression;
  readonly right: Expression;
}
export interface Keyword {
  readonly type: "KeywordArgumentExpression";
  readonly key: Identifier;
  readonly value: Expression;
}
export type Argument =
  | Expression
  | Keyword
  | { readonly type: "SpreadExpression"; readonly argument: Expression }
  | { readonly type: "KeywordSpreadExpression"; readonly argument: Expression };
export type Parameter = Identifier | Keyword;
export type FilterCall = Identifier | Call;
export interface TupleLiteral {
  readonly type: "TupleLiteral";
  readonly value: readonly Expression[];
}
/** `value if test`: in a loop's head a filter, elsewhere a conditional without an else. */
export interface Select {
  readonly type: "SelectExpression";
  readonly lhs: Expression;
  readonly test: Expression;
}

export type Expression =
  | { readonly type: "IntegerLiteral"; readonly value: number }
  | { readonly type: "FloatLiteral"; readonly value: number }
  | { readonly type: "StringLiteral"; readonly value: string }
  | { readonly type: "ArrayLiteral"; readonly value: readonly Expression[] }
  | TupleLiteral
  | { readonly type: "ObjectLiteral"; readonly value: ReadonlyMap<Expression, Expression> }
  | Identifier
  | Call
  | Member
  | Binary
  | { readonly type: "UnaryExpression"; readonly operator: Operator; readonly argument: Expression }
  | { readonly type: "FilterExpression"; readonly operand: Expression; readonly filter: FilterCall }
  | {
      readonly type: "TestExpression";
      readonly operand: Expression;
      readonly negate: boolean;
      readonly test: Identifier;
    }
  | Select
  | {
      readonly type: "Ternary";
      readonly condition: Expression;
      readonly trueExpr: Expression;
      readonly falseExpr: Expression;
    };

export interface For {
  readonly type: "For";
  readonly loopvar: Expression;
  readonly iterable: Expression;
  readonly body: readonly Statement[];
  readonly defaultBlock: readonly Statement[];
}
export interface SetBlock {
  readonly type: "Set";
  readonly assignee: Expression;
  readonly value: Expression | null;
  readonly body: readonly Statement[];
}
export interface Macro {
  readonly type: "Macro";
  readonly name: Identifier;
  readonly args: readonly Parameter[];
  readonly body: readonly Statement[];
}
export interface CallBlock {
  readonly type: "CallStatement";
  readonly call: Call;
  readonly callerArgs: readonly Parameter[] | null;
  readonly body: readonly Statement[];
}

export type Statement =
  | Expression
  | {
      readonly type: "If";
      readonly test: Expression;
      readonly body: readonly Statement[];
      readonly alternate: readonly Statement[];
    }
  | For
  | SetBlock
  | Macro
  | CallBlock
  | { readonly type: "FilterStatement"; readonly filter: FilterCall; readonly body: readonly Statement[] }
  | { readonly type: "Break" }
  | { readonly type: "Continue" }
  | { readonly type: "Comment" };

export interface Program {
  readonly type: "Program";
  readonly body: readonly Statement[];
}
