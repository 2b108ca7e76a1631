import { expect, test } from "bun:test";
import { join } from "node:path";
import { freshFolder } from "./exo.ts";

const namespace = ["unshare", "--user", "--map-root-user", "--mount"];
const canMount = process.platform === "linux" && Bun.spawnSync([...namespace, "true"]).success;
const child = `"${process.execPath}" "${join(import.meta.dir, "unpack-child.ts")}"`;

/** What the child says when `before` has been done, `$0` being its home and `$1` the library. */
async function unpackedAfter(before: string, home: string): Promise<unknown> {
  const source = join(home, "big");
  await Bun.write(source, new Uint8Array(1 << 20));
  const script = `mkdir -p "$0" && ${before} && ${child} "$0" "$1"; rm -rf "$0/cache"; echo; ls "$0"`;
  const ran = Bun.spawnSync([...namespace, "sh", "-c", script, join(home, "home"), source], {
    stderr: "inherit",
  });
  return JSON.parse(ran.stdout.toString().split("\n")[0] ?? "");
}

test.skipIf(!canMount)("a full disk is said, with what to do", async () => {
  using home = freshFolder();
  expect(await unpackedAfter('mount -t tmpfs -o size=256k,mode=700 tmpfs "$0"', home.path)).toEqual({
    kind: "doesNotFit",
    message: "the disk is full: the native library could not be unpacked to HOME/cache/lib/feed",
    remedy: "free some space, or set EXO_HOME to a folder on another disk",
  });
});

test.skipIf(!canMount)("a folder that cannot be written is said, with what to do", async () => {
  using home = freshFolder();
  expect(await unpackedAfter('mount -t tmpfs -o ro,mode=700 tmpfs "$0"', home.path)).toEqual({
    kind: "internal",
    message: "the native library could not be unpacked to HOME/cache/lib/feed (EROFS)",
    remedy: "make it writable for you, or set EXO_HOME to a folder that is",
  });
});

test.skipIf(!canMount)("a disk with just enough room is enough", async () => {
  using home = freshFolder();
  expect(await unpackedAfter('mount -t tmpfs -o size=2m,mode=700 tmpfs "$0"', home.path)).toEqual({
    done: true,
  });
});
