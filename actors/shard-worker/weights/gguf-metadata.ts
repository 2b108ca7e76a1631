/** Typed look-ups in a GGUF file's metadata. Each throws Problem naming file and key. */
import { Problem } from "#protocol/problem";
import { quoted } from "./file-bytes.ts";
import type { GgufFile } from "./gguf.ts";
import type { GgufValue } from "./gguf-value.ts";

export class GgufMetadata {
  private readonly path: string;
  private readonly values: ReadonlyMap<string, GgufValue>;

  constructor({ path, metadata }: Pick<GgufFile, "path" | "metadata">) {
    this.path = path;
    this.values = metadata;
  }

  number(key: string): number | undefined {
    const value = this.values.get(key);
    if (value === undefined || typeof value === "number") return value;
    // Some converters write one value per layer; where all agree, that is the model's.
    const each = value instanceof Object && "length" in value ? [...(value as Iterable<GgufValue>)] : [];
    const [first] = each;
    if (typeof first === "number" && each.every((other) => other === first)) return first;
    throw this.wrong(key, value, "a number");
  }
  text(key: string): string | undefined {
    const value = this.values.get(key);
    if (value === undefined || typeof value === "string") return value;
    throw this.wrong(key, value, "text");
  }
  flag(key: string): boolean | undefined {
    const value = this.values.get(key);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.wrong(key, value, "true or false");
  }
  texts(key: string): readonly string[] | undefined {
    const value = this.values.get(key);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((item): item is string => typeof item === "string")) return value;
    throw this.wrong(key, value, "a list of texts");
  }
  numbers(key: string): Float64Array | Float32Array | Int32Array | undefined {
    const value = this.values.get(key);
    if (value === undefined) return undefined;
    if (value instanceof Float64Array || value instanceof Float32Array || value instanceof Int32Array)
      return value;
    throw this.wrong(key, value, "a list of numbers");
  }

  /** The value, which must be there. */
  needed<T>(key: string, value: T | undefined): T {
    if (value !== undefined) return value;
    throw new Problem("invalid", `${this.path} lacks the metadata key '${key}'`, { param: key });
  }
  count(key: string): number {
    const value = this.needed(key, this.number(key));
    if (Number.isInteger(value) && value > 0) return value;
    throw this.wrong(key, value, "a whole number above 0");
  }

  wrong(key: string, value: GgufValue, wanted: string): Problem {
    return new Problem("invalid", `${this.path} has ${key} = ${quoted(value)}, which is not ${wanted}`, {
      param: key,
    });
  }
}
