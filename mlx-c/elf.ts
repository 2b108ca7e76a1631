/**
 * Changes the folder an ELF library looks for its libraries in, in place. The new text must not be longer than the old,
 * which holds for `$ORIGIN`; so nothing moves and no tool is needed. Layout: System V ABI, chapters 4 and 5.
 */
import { BuildError } from "./run.ts";

const SHT_DYNAMIC = 6n;
const DT_NULL = 0n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;

/** Sets RPATH or RUNPATH of a little-endian ELF64 file; false when it has neither. */
export function setRpath(file: Uint8Array, rpath: string): boolean {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.getUint32(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1)
    throw new BuildError("not a little-endian ELF64 file");
  const word = (at: number) => Number(view.getBigUint64(at, true));
  const sections = word(0x28);
  const size = view.getUint16(0x3a, true);
  const section = (index: number) => sections + index * size;
  const count = view.getUint16(0x3c, true);
  let found = false;
  for (let index = 0; index < count; index++) {
    const header = section(index);
    if (BigInt(view.getUint32(header + 4, true)) !== SHT_DYNAMIC) continue;
    const strings = word(section(view.getUint32(header + 0x28, true)) + 0x18);
    const end = word(header + 0x18) + word(header + 0x20);
    for (let entry = word(header + 0x18); entry < end; entry += 16) {
      const tag = view.getBigUint64(entry, true);
      if (tag === DT_NULL) break;
      if (tag !== DT_RPATH && tag !== DT_RUNPATH) continue;
      overwrite(file, strings + word(entry + 8), rpath);
      found = true;
    }
  }
  return found;
}

function overwrite(file: Uint8Array, at: number, text: string): void {
  const old = file.indexOf(0, at) - at;
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > old)
    throw new BuildError(
      `the library's search path has room for ${old} bytes, ${text} needs ${bytes.length}`,
    );
  file.fill(0, at, at + old);
  file.set(bytes, at);
}
