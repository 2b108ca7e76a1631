/** Large models come as several GGUF files, `name-00001-of-00003.gguf`; the first has the metadata of all. */
import { existsSync } from "node:fs";
import { Problem } from "#protocol/problem";
import { quoted } from "./file-bytes.ts";
import { type GgufFile, readGguf } from "./gguf.ts";
import { GgufMetadata } from "./gguf-metadata.ts";

/** More parts than any model has: a damaged key must not make us look for a billion others. */
const MOST_PARTS = 10_000;

/** The file, with the tensors of its other parts. Throws Problem naming a part that is missing, or a tensor that is in two. */
export function readGgufParts(path: string): GgufFile {
  const first = readGguf(path);
  const metadata = new GgufMetadata(first);
  const parts = metadata.number("split.count") ?? 1;
  if (parts <= 1) return first;
  const number = metadata.number("split.no") ?? 0;
  const [, before, part, after] = /^(.*-)(\d+)(-of-\d+\.gguf)$/.exec(path) ?? [];
  if (before === undefined || part === undefined || parts > MOST_PARTS) {
    throw new Problem(
      "invalid",
      `${path} is one of ${parts} parts, but is not named like one (name-00001-of-00003.gguf)`,
    );
  }
  const sibling = (index: number) => `${before}${String(index + 1).padStart(part.length, "0")}${after}`;
  if (number !== 0) {
    throw new Problem("invalid", `${path} is part ${number + 1} of ${parts}`, {
      remedy: `give the first part: ${sibling(0)}`,
    });
  }
  const others = Array.from({ length: parts - 1 }, (_, i) => sibling(i + 1));
  const missing = others.find((other) => !existsSync(other));
  if (missing !== undefined) {
    throw new Problem("notFound", `${missing} is missing, a part of the model`, {
      remedy: "fetch all parts into one folder",
    });
  }
  const tensors = [...first.tensors, ...others.flatMap((other) => readGguf(other).tensors)];
  const places = new Map<string, string>();
  for (const { name, path: place } of tensors) {
    const other = places.get(name);
    if (other !== undefined)
      throw new Problem("invalid", `tensor ${quoted(name)} is both in ${other} and in ${place}`);
    places.set(name, place);
  }
  return { ...first, tensors };
}
