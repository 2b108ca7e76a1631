/**
 * Writes generated/symbols.ts from the pinned mlx-c headers and the shim's own: `bun ffi/generate.ts [mlx-c folder]`.
 * One wrapper per function, because a call site that sees several C functions costs thirty times one that sees one.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type CFunction, type CParameter, type CType, type Header, parseHeaders } from "./headers.ts";
import { pins } from "./pins.ts";

const root = join(import.meta.dir, "..");
export const generatedPath = join(import.meta.dir, "generated", "symbols.ts");

/** Headers whose functions want a FILE, a C callback or a struct over 8 bytes, and that nothing here needs. */
const leftOut = new Set([
  "graph_utils.h",
  "export.h",
  "error.h",
  "io.h",
  "io_types.h",
  "half.h",
  "mlx.h",
  "optional.h",
]);

/** These return a number, not a status. */
const values = new Set([
  "mlx_array_dim",
  "mlx_distributed_group_rank",
  "mlx_distributed_group_size",
  "exo_abi",
  "exo_trim_memory",
  "exo_wait_for",
]);

/** The headers that the bindings are made from: mlx-c's from the build cache, then the shim's. */
export function pinnedHeaders(mlxFolder = cachedMlx()): readonly Header[] {
  const read = (folder: string): Header[] =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".h"))
      .sort()
      .map((name) => ({ name, text: readFileSync(join(folder, name), "utf8") }))
      .filter(({ text }) => text.includes('extern "C"'));
  const shim = join(root, "mlx-c", "shim");
  return [...read(join(mlxFolder, "mlx", "c")), ...(existsSync(shim) ? read(shim) : [])];
}

/** Where `bun mlx-c/build.ts` left mlx-c's source. */
function cachedMlx(): string {
  const cache = join(root, ".cache");
  const header = existsSync(cache)
    ? [
        ...new Bun.Glob(`**/mlx-sys-${pins.mlxC}-*/**/mlx-c/mlx/c/ops.h`).scanSync({ cwd: cache, dot: true }),
      ].sort()[0]
    : undefined;
  if (header === undefined)
    throw new Error(`mlx-c's headers are not in ${cache}: run "bun mlx-c/build.ts" first`);
  return join(cache, header, "..", "..", "..");
}

/** The text of generated/symbols.ts. */
export function generate(headers: readonly Header[]): string {
  const functions = parseHeaders(headers).filter(
    ({ header, name }) => !leftOut.has(header) && !name.startsWith("_"),
  );
  const usable = functions.filter(
    (f) => ![f.returns, ...f.parameters.map((p) => p.type)].some((t) => t.kind === "unsupported"),
  );
  const skipped = functions.filter((f) => !usable.includes(f)).map(({ name }) => name);
  const handles = [
    ...new Set(
      usable
        .flatMap((f) => [f.returns, ...f.parameters.map((p) => p.type)])
        .flatMap((t) => ("of" in t && isHandle(t) ? [t.of] : [])),
    ),
  ].sort();
  return [
    "// Written by ffi/generate.ts from the headers of mlx-c and mlx-c/shim. Do not edit: bun ffi/generate.ts",
    `// ${usable.length} functions. Left out: headers ${[...leftOut].sort().join(", ")}; structs over 8 bytes by value: ${skipped.join(", ")}.`,
    'import type { CallState, Handle, Optional, Raw, Text, Words } from "../call.ts";',
    "",
    ...handles.map((name) => `export type ${name} = Handle<"${name}">;`),
    "",
    "/** What dlopen is told: the true width of every argument. */",
    "export const signatures = {",
    ...usable.map(signature),
    "} as const;",
    "",
    "/** The functions, typed; a status other than 0 becomes an MlxError through `state`. */",
    "export function bind(raw: Raw<typeof signatures>, state: CallState) {",
    "  const { out, took, failed } = state;",
    `  const {\n${usable.map(({ name }) => `    ${name},`).join("\n")}\n  } = raw;`,
    "  return {",
    ...usable.map(wrapper),
    "  };",
    "}",
    "",
    "export type Native = ReturnType<typeof bind>;",
    "",
  ].join("\n");
}

const isHandle = (type: CType): boolean => ["handle", "outHandle", "constHandles"].includes(type.kind);

const signature = ({ name, parameters, returns }: CFunction): string =>
  `  ${name}: { args: [${parameters.map(({ type }) => `"${width(type)}"`).join(", ")}], returns: "${returns.kind === "void" ? "void" : returnWidth(returns)}" },`;

function width(type: CType): string {
  if (type.kind === "string") return "cstring";
  if (type.kind !== "scalar") return "ptr";
  return {
    int: "i32",
    enum: "i32",
    bool: "bool",
    float: "f32",
    double: "f64",
    size: "ptr",
    u64: "u64",
    i64: "i64",
  }[type.of];
}

const returnWidth = (type: CType): string =>
  type.kind !== "scalar"
    ? width(type)
    : type.of === "size" || type.of === "u64"
      ? "u64_fast"
      : type.of === "i64"
        ? "i64_fast"
        : width(type);

/** Where a result parameter leads the list, how to read it back. */
const outRead: Readonly<Record<string, string>> = {
  bool: "state.tookBool()",
  int: "state.tookInt()",
  int32_t: "state.tookInt()",
  uint8_t: "state.tookByte()",
  enum: "state.tookInt()",
  uint32_t: "state.tookUint()",
  float: "state.tookFloat()",
  double: "state.tookDouble()",
  size_t: "took()",
  uint64_t: "took()",
  uint16_t: "state.tookShort()",
};

function wrapper(f: CFunction): string {
  const name = f.name.replace(/^mlx_/, "");
  const status = f.returns.kind === "scalar" && f.returns.of === "int" && !values.has(f.name);
  const results = status && !/_set(_|$)/.test(f.name) ? leadingResults(f.parameters) : [];
  const rest = f.parameters.slice(results.length);
  const parameters = rest.map((p) => `${safe(p.name)}: ${typeName(p)}`).join(", ");
  const call = `${f.name}(${[...results.map((_, i) => (i === 0 ? "out" : "state.second")), ...rest.map(({ name }) => safe(name))].join(", ")})`;
  if (!status) return `    ${name}: (${parameters}): ${resultName(f.returns)} => ${fromRaw(f, call)},`;
  const arrays = rest
    .filter(({ type }) => type.kind === "handle" && type.of === "mlx_array")
    .map(({ name }) => safe(name));
  const vectors = rest
    .filter(({ type }) => type.kind === "handle" && type.of === "mlx_vector_array")
    .map(({ name }) => safe(name));
  const failure = `failed("${name}", [${arrays.join(", ")}]${vectors.length > 0 ? `, [${vectors.join(", ")}]` : ""})`;
  const [first, second] = results.map((p) => p.type);
  const result = second
    ? `[${[first, second].map((t) => handleName(t)).join(", ")}]`
    : first
      ? handleName(first)
      : "void";
  const read = second
    ? `[took(), state.tookSecond()] as [${[first, second].map((t) => handleName(t)).join(", ")}]`
    : first
      ? (outScalar(first) ?? `took() as ${handleName(first)}`)
      : "undefined";
  return `    ${name}: (${parameters}): ${result} => (${call} === 0 ? ${read} : ${failure}),`;
}

/** The leading parameters through which results come back: one of any kind, or two handles. */
function leadingResults(parameters: readonly CParameter[]): readonly CParameter[] {
  const [first, second] = parameters;
  if (first?.type.kind === "out" && outRead[first.type.of] !== undefined) return [first];
  if (first?.type.kind !== "outHandle") return [];
  return second?.type.kind === "outHandle" ? [first, second] : [first];
}

const outScalar = (type: CType): string | undefined => (type.kind === "out" ? outRead[type.of] : undefined);

const handleName = (type: CType | undefined): string =>
  type?.kind === "out"
    ? type.of === "bool"
      ? "boolean"
      : "number"
    : type && "of" in type
      ? type.of
      : "void";

function typeName({ type, nullable }: CParameter): string {
  if (type.kind === "handle") return nullable ? `${type.of} | null` : type.of;
  if (type.kind === "optional") return "Optional";
  if (type.kind === "string") return "Text";
  if (type.kind === "scalar")
    return type.of === "bool" ? "boolean" : type.of === "u64" || type.of === "i64" ? "bigint" : "number";
  return "Words | null";
}

function resultName(type: CType): string {
  if (type.kind === "void") return "void";
  if (type.kind === "scalar") return type.of === "bool" ? "boolean" : "number";
  if (type.kind === "string") return "string | null";
  return type.kind === "handle" ? type.of : "number";
}

function fromRaw(f: CFunction, call: string): string {
  const { returns, name, parameters } = f;
  if (returns.kind === "void") return `void ${call}`;
  if (returns.kind === "string") return call;
  if (returns.kind === "scalar")
    return ["size", "u64", "i64"].includes(returns.of) ? `Number(${call})` : call;
  if (returns.kind !== "handle") return `${call} ?? 0`;
  const absent = parameters.length === 0 ? "0" : `failed("${name.replace(/^mlx_/, "")}", [])`;
  return `(${call} ?? ${absent}) as ${returns.of}`;
}

/** C parameter names that are words of TypeScript. */
const safe = (name: string): string =>
  ["in", "new", "function", "default", "var", "out", "state", "raw"].includes(name) ? `${name}_` : name;

if (import.meta.main) {
  const folder = process.argv[2];
  if (folder !== undefined && !statSync(folder).isDirectory()) throw new Error(`${folder} is not a folder`);
  await Bun.write(generatedPath, generate(pinnedHeaders(folder)));
}
