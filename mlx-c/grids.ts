/**
 * The codebooks of ggml's IQ types, as a C++ header. They are data of the format that no formula gives, so they are
 * taken from the `gguf` package (MIT) when the library is built; nothing else of it is used.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fetchWheel, once } from "./fetch.ts";
import { gguf } from "./pins.ts";
import { BuildError, cache } from "./run.ts";

/** Rows and columns, checked against what the package says: the block formulas count on them. */
const grids = {
  IQ2_XXS: [256, 8],
  IQ2_XS: [512, 8],
  IQ2_S: [1024, 8],
  IQ3_XXS: [256, 4],
  IQ3_S: [512, 4],
  IQ1_S: [2048, 8],
} as const;

/** The folder of `ggml_grids.hpp`, made if it is not there. */
export async function fetchGrids(): Promise<string> {
  const maker = new Bun.CryptoHasher("sha256").update(readFileSync(import.meta.path)).digest("hex");
  const name = `ggml-grids-${gguf.version}-${gguf.sha256.slice(0, 12)}-${maker.slice(0, 12)}`;
  return once(join(cache, "generated", name), async (to) => {
    const source = join(await fetchWheel(gguf), "gguf", "quants.py");
    writeFileSync(join(to, "ggml_grids.hpp"), headerOf(readFileSync(source, "utf8")));
  });
}

/** The header, from the text of the package's `quants.py`. */
export function headerOf(python: string): string {
  const arrays = Object.entries(grids).map(([name, [rows, columns]]) => {
    const values = gridOf(python, name, rows, columns);
    return `inline constexpr int8_t k${name}[${rows}][${columns}] = {\n${values.map((row) => `{${row}},\n`).join("")}};\n`;
  });
  return `// From gguf ${gguf.version}: do not edit.\n#pragma once\n#include <cstdint>\nnamespace exo::ggml::grids {\n${arrays.join("")}}\n`;
}

/** Rows of one grid. The package writes each value as its place in a short list, several to a byte, lowest bits first. */
function gridOf(python: string, name: string, rows: number, columns: number): readonly (readonly number[])[] {
  const start = python.indexOf(`class ${name}(`);
  const end = python.indexOf("\nclass ", start);
  const own = start < 0 ? "" : python.slice(start, end < 0 ? undefined : end);
  const shape = numbers(/grid_shape = \(([^)]*)\)/.exec(own)?.[1]);
  const values = numbers(/grid_map = \(([^)]*)\)/.exec(own)?.[1]);
  const hex = (/grid_hex = \(([^)]*)\)/.exec(own)?.[1] ?? "").replaceAll(/b"([0-9a-f]*)"|\s/g, "$1");
  const bytes = Buffer.from(hex, "hex");
  const width = values.length > 4 ? 4 : 2;
  const places = [...bytes].flatMap((byte) =>
    Array.from({ length: 8 / width }, (_, i) => (byte >> (i * width)) & (values.length > 4 ? 7 : 3)),
  );
  const found = places.map((place) => values[place]).filter((value) => value !== undefined);
  if (String(shape) !== String([rows, columns]) || found.length !== rows * columns) {
    throw new BuildError(
      `gguf ${gguf.version} writes the grid of ${name} in another way than mlx-c/grids.ts reads it`,
    );
  }
  return Array.from({ length: rows }, (_, row) => found.slice(row * columns, (row + 1) * columns));
}

const numbers = (list = ""): readonly number[] => list.split(",").map((each) => Number(each.trim()));
