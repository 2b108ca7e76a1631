import { expect, test } from "bun:test";
import { setRpath } from "./elf.ts";

/** The smallest ELF64 file with what the dynamic linker reads: a string table and one dynamic section naming `rpath`. */
function library(tag: bigint, rpath: string): Uint8Array {
  const file = new Uint8Array(0x200);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  view.setBigUint64(0x28, 0x100n, true); // section headers
  view.setUint16(0x3a, 0x40, true);
  view.setUint16(0x3c, 2, true);
  view.setBigUint64(0x100 + 0x18, 0x40n, true); // section 0: strings, at 0x40
  view.setUint32(0x140 + 4, 6, true); // section 1: dynamic, at 0x80, its strings in section 0
  view.setBigUint64(0x140 + 0x18, 0x80n, true);
  view.setBigUint64(0x140 + 0x20, 0x20n, true);
  view.setBigUint64(0x80, tag, true);
  view.setBigUint64(0x88, 1n, true);
  file.set(new TextEncoder().encode(`${rpath}\0next\0`), 0x41);
  return file;
}

const strings = (file: Uint8Array) => new TextDecoder().decode(file.slice(0x41, 0x80)).replace(/\0+/g, "|");

test("a library's search path is replaced in place, whichever of the two kinds it has", () => {
  const outcomes = [15n, 29n].map((tag) => {
    const file = library(tag, "$ORIGIN/../../a.libs");
    return { found: setRpath(file, "$ORIGIN"), strings: strings(file) };
  });
  const expected = { found: true, strings: "$ORIGIN|next|" };
  expect(outcomes).toEqual([expected, expected]);
});

test("a library without a search path is left as it is", () => {
  const file = library(14n, "libmlx.so");
  expect({ found: setRpath(file, "$ORIGIN"), strings: strings(file) }).toEqual({
    found: false,
    strings: "libmlx.so|next|",
  });
});

test("a search path that does not fit, and a file that is no library, are refused", () => {
  expect(() => setRpath(library(15n, "/a"), "$ORIGIN")).toThrow("has room for 2 bytes, $ORIGIN needs 7");
  expect(() => setRpath(new Uint8Array(64), "$ORIGIN")).toThrow("not a little-endian ELF64 file");
});
