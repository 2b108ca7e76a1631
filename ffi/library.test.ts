import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtLibrary } from "./built-library.ts";
import { openLibrary } from "./library.ts";
import { pins } from "./pins.ts";

const messageOf = (work: () => unknown): string => {
  try {
    work();
    return "no error";
  } catch (error) {
    return String(error);
  }
};

test("the built library reports the versions the bindings are pinned to", () => {
  expect(builtLibrary().versions).toEqual(pins);
});

test("a folder without the library and a file that is none are refused by name", () => {
  const folder = mkdtempSync(join(tmpdir(), "exo-ffi-"));
  try {
    const file = join(folder, process.platform === "darwin" ? "libexo.dylib" : "libexo.so");
    const absent = messageOf(() => openLibrary(folder));
    writeFileSync(file, "not a library");
    const broken = messageOf(() => openLibrary(folder));
    expect({
      absent,
      broken: broken.startsWith(`Problem: the native library ${file} cannot be loaded: `),
    }).toEqual({
      absent: `Problem: the native library ${file} is missing`,
      broken: true,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
