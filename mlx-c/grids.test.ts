/** Reading the codebooks: a package that writes them otherwise must stop the build, not make wrong weights. */
import { expect, test } from "bun:test";
import { headerOf } from "./grids.ts";

const shapes = [
  ["IQ2_XXS", 256, 8],
  ["IQ2_XS", 512, 8],
  ["IQ2_S", 1024, 8],
  ["IQ3_XXS", 256, 4],
  ["IQ3_S", 512, 4],
  ["IQ1_S", 2048, 8],
] as const;

/** A package's text, where each byte of a grid is 2, 2, 1, 0 of three values, or 7, 0 of eight. */
const python = shapes
  .map(([name, rows, columns]) => {
    const [map, byte, each] =
      columns === 4 ? ["0x04, 1, 2, 3, 4, 5, 6, 0x3e", "07", 2] : ["-1, 0, 0x2b", "1a", 4];
    const hex = byte.repeat((rows * columns) / each);
    const lines = [hex.slice(0, 64), hex.slice(64)].map((line) => `        b"${line}"\n`).join("");
    return `class ${name}(__Quant):\n    grid_shape = (${rows}, ${columns})\n    grid_map = (${map})\n    grid_hex = (\n${lines}    )\n`;
  })
  .join("\n\n");

test("a grid's values stand in the order of its bytes, lowest bits first", () => {
  const header = headerOf(python);
  expect([
    [...(header.match(/k\w+\[\d+\]\[\d+\] = \{\n\{[^}]*\}/g) ?? [])],
    header.match(/^\{/gm)?.length,
  ]).toEqual([
    shapes.map(([name, rows, columns]) => {
      const row = columns === 4 ? "62,4,62,4" : "43,43,0,-1,43,43,0,-1";
      return `k${name}[${rows}][${columns}] = {\n{${row}}`;
    }),
    shapes.reduce((sum, [, rows]) => sum + rows, 0),
  ]);
});

test.each([
  ["a grid is missing", (text: string) => text.replace("class IQ3_S(", "class IQ3_T(")],
  ["a grid has another shape", (text: string) => text.replace("(512, 4)", "(256, 8)")],
  ["a grid is shorter than its shape", (text: string) => text.replace('b"0707', 'b"07')],
  ["a value is not in the list", (text: string) => text.replace('b"1a', 'b"1f')],
])("the build stops where %s", (_, change) => {
  expect(() => headerOf(change(python))).toThrow(/writes the grid of IQ\w+ in another way/);
});
