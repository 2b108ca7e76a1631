/**
 * Reads the C declarations of mlx-c and of our shim. Not a C parser: it knows the few forms these headers use and
 * refuses anything else by name, because a signature guessed wrong is a memory bug.
 */

/** How a C type crosses the FFI. `handle` is a struct of one pointer, `optional` one of {4-byte value, bool}. */
export type CType =
  | { readonly kind: "handle" | "outHandle" | "constHandles"; readonly of: string }
  | { readonly kind: "optional"; readonly of: "int" | "float" | "dtype" }
  | { readonly kind: "out"; readonly of: string }
  | {
      readonly kind: "scalar";
      readonly of: "int" | "bool" | "float" | "double" | "size" | "u64" | "i64" | "enum";
    }
  | { readonly kind: "string" | "pointer" | "void" | "unsupported" };

export interface CParameter {
  readonly name: string;
  readonly type: CType;
  readonly nullable: boolean;
}

export interface CFunction {
  readonly name: string;
  readonly header: string;
  readonly returns: CType;
  readonly parameters: readonly CParameter[];
}

export interface Header {
  readonly name: string;
  readonly text: string;
}

const scalars: Readonly<Record<string, Extract<CType, { kind: "scalar" }>["of"]>> = {
  int: "int",
  int32_t: "int",
  bool: "bool",
  float: "float",
  double: "double",
  size_t: "size",
  uintptr_t: "size",
  uint64_t: "u64",
  int64_t: "i64",
};

/** Every function declared, in the order of the headers, with its types resolved. */
export function parseHeaders(headers: readonly Header[]): readonly CFunction[] {
  const texts = headers.map(({ name, text }) => ({ name, text: plain(text) }));
  const types = new Map<string, CType>();
  for (const { text } of texts) collectTypes(text, types);
  return texts.flatMap(({ name, text }) => functionsOf(name, text, types));
}

/** The text without comments, preprocessor lines and the parts that exist on ARM builds only. */
function plain(text: string): string {
  return text
    .replaceAll(/\/\*\s*may be null\s*\*\//g, " __nullable ")
    .replaceAll(/\/\*[\s\S]*?\*\//g, " ")
    .replaceAll(/\/\/[^\n]*/g, " ")
    .replaceAll(/#ifdef HAS_B?FLOAT16[\s\S]*?#endif/g, " ")
    .replaceAll(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$/gm, " ")
    .replaceAll(/extern\s+"C"\s*\{?/g, " ");
}

function collectTypes(text: string, types: Map<string, CType>): void {
  for (const [, body = "", name = ""] of text.matchAll(/typedef\s+struct\s+\w*\s*\{([^}]*)\}\s*(\w+)\s*;/g)) {
    types.set(name, structType(body));
  }
  for (const [, name = ""] of text.matchAll(/typedef\s+struct\s+\w+\s+(\w+)\s*;/g)) {
    if (!types.has(name)) types.set(name, { kind: "handle", of: name });
  }
  for (const [, name = ""] of text.matchAll(/typedef\s+enum\s+\w*\s*\{[^}]*\}\s*(\w+)\s*;/g)) {
    types.set(name, { kind: "scalar", of: "enum" });
  }
  for (const [, name = ""] of text.matchAll(/typedef\s+[\w\s]+\(\*(\w+)\)\([^;]*\)\s*;/g)) {
    types.set(name, { kind: "pointer" });
  }
  for (const [name, type] of types) if (type.kind === "handle") types.set(name, { kind: "handle", of: name });
}

function structType(body: string): CType {
  const fields = body
    .split(";")
    .map((field) => field.trim())
    .filter((field) => field !== "");
  if (fields.length === 1 && /^void\s*\*\s*ctx$/.test(fields[0] ?? "")) return { kind: "handle", of: "" };
  const [value = "", flag = ""] = fields;
  if (fields.length === 2 && flag === "bool has_value") {
    const of = value.replace(/\s+value$/, "").replace(/^mlx_/, "");
    if (of === "int" || of === "float" || of === "dtype") return { kind: "optional", of };
  }
  return { kind: "unsupported" };
}

function functionsOf(header: string, text: string, types: ReadonlyMap<string, CType>): readonly CFunction[] {
  const bare = text.replaceAll(/typedef[^;{]*(\{[^}]*\})?[^;]*;/g, " ");
  const found: CFunction[] = [];
  for (const [, result = "", name = "", list = ""] of bare.matchAll(
    /([\w\s*]+?)\b(_?(?:mlx|exo)_\w+)\s*\(((?:[^()]|\([^()]*\))*(?:\((?:[^()]|\([^()]*\))*\)[^()]*)*)\)\s*;/g,
  )) {
    if (/\bstatic\b/.test(result)) continue;
    const parameters = splitParameters(list).map((parameter, index) => parameterOf(parameter, index, types));
    found.push({ name, header, returns: typeOf(result, types), parameters });
  }
  return found;
}

/** Splits at the commas that are not inside a function pointer's own list. */
function splitParameters(list: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let current = "";
  for (const letter of list) {
    if (letter === "(") depth++;
    if (letter === ")") depth--;
    if (letter === "," && depth === 0) {
      parts.push(current);
      current = "";
    } else current += letter;
  }
  parts.push(current);
  return parts.map((part) => part.trim()).filter((part) => part !== "" && part !== "void");
}

function parameterOf(text: string, index: number, types: ReadonlyMap<string, CType>): CParameter {
  const nullable = text.includes("__nullable");
  const bare = text.replace("__nullable", "").trim();
  const callback = /\(\*(\w+)\)/.exec(bare);
  if (callback) return { name: callback[1] ?? `callback${index}`, type: { kind: "pointer" }, nullable };
  if (bare === "...") return { name: "rest", type: { kind: "unsupported" }, nullable };
  const [, type = "", name = ""] = /^(.*[\s*])(\w+)$/.exec(bare) ?? [];
  return { name, type: typeOf(type, types), nullable };
}

function typeOf(text: string, types: ReadonlyMap<string, CType>): CType {
  const constant = /\bconst\b/.test(text);
  const words = text.replaceAll(/\b(const|struct)\b/g, " ");
  const stars = words.replaceAll(/[^*]/g, "").length;
  const base = words.replaceAll("*", "").trim();
  const scalar = scalars[base];
  const known: CType | undefined = scalar ? { kind: "scalar", of: scalar } : types.get(base);
  if (stars === 0) return base === "void" ? { kind: "void" } : (known ?? { kind: "unsupported" });
  return stars === 1 ? pointerTo(base, constant, known) : { kind: "pointer" };
}

function pointerTo(base: string, constant: boolean, known: CType | undefined): CType {
  if (base === "char" && constant) return { kind: "string" };
  if (known?.kind === "handle") return { kind: constant ? "constHandles" : "outHandle", of: base };
  if (constant || base === "void" || base === "char") return { kind: "pointer" };
  return { kind: "out", of: scalars[base] === undefined && known ? "enum" : base };
}
