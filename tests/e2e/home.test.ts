/** Where the binary keeps what it unpacks: copied alone, tampered with, on a disk that is full or closed. */
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { environmentOf, exo, freshFolder, type Ran } from "../cli/exo.ts";
import { binary, run, smollm2File, TEST_MS_MAX } from "./product.ts";

setDefaultTimeout(TEST_MS_MAX);

const QUESTION = ["What is the capital of France?", "--temp", "0"] as const;
const PARIS = "The capital of France is Paris.\n";
const UNPACKING = "unpacking the native library (once per version)\n";

test("the binary alone in an empty folder, with an empty home, runs a checkpoint given by path", async () => {
  using folder = freshFolder();
  const copy = join(folder.path, "bin", "exo");
  mkdirSync(join(folder.path, "bin"));
  copyFileSync(binary(), copy);
  const ask = () => exo(["run", smollm2File(), ...QUESTION], { home: folder.path, command: [copy] });
  expect([await ask(), await ask(), readdirSync(folder.path).toSorted()]).toEqual([
    { code: 0, out: PARIS, err: UNPACKING },
    { code: 0, out: PARIS, err: "" },
    ["bin", "exo"],
  ]);
});

test("three first runs at once unpack side by side, and all answer", async () => {
  using home = freshFolder();
  const asked = [1, 2, 3].map(() => run(["run", "smollm2", ...QUESTION], { home: home.path }));
  expect((await Promise.all(asked)).map(({ code, out }) => [code, out])).toEqual(Array(3).fill([0, PARIS]));
});

test("what was unpacked and then tampered with or deleted is put right before it is used", async () => {
  using home = freshFolder();
  const ask = () => run(["run", "smollm2", ...QUESTION], { home: home.path });
  await ask();
  const lib = join(home.path, "exo", "cache", "lib");
  const folder = join(lib, readdirSync(lib)[0] ?? "");
  const names = readdirSync(folder).filter((name) => name.includes(".so"));
  const largest =
    names.toSorted((a, b) => statSync(join(folder, b)).size - statSync(join(folder, a)).size)[0] ?? "";
  writeFileSync(join(folder, largest), Buffer.alloc(statSync(join(folder, largest)).size, 7));
  const replaced = await ask();
  await Bun.file(join(folder, largest)).delete();
  const deleted = await ask();
  const mended = { code: 0, out: PARIS, err: UNPACKING };
  expect([replaced, deleted, await ask()]).toEqual([mended, mended, { code: 0, out: PARIS, err: "" }]);
});

/**
 * Runs a command with EXO_HOME on a small disk of its own, which goes with the command: mount_namespaces(7). `options` are
 * those of tmpfs(5); `first` is a shell line that runs on the disk before.
 */
async function onSmallDisk(options: string, args: readonly string[], first = "true"): Promise<Ran> {
  using folder = freshFolder();
  const disk = join(folder.path, "disk");
  mkdirSync(disk);
  const script = `mount -t tmpfs -o ${options} exo-test "$0" && (cd "$0" && ${first}) && exec "$@"`;
  const child = Bun.spawn(
    ["unshare", "--map-root-user", "--mount", "sh", "-c", script, disk, binary(), ...args],
    {
      env: { ...environmentOf(folder.path), EXO_HOME: disk },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err: err.replaceAll(disk, "DISK") };
}

const needed = "this test mounts a tmpfs: run it as root, or where user namespaces are allowed";
beforeAll(async () => {
  const { code, err } = await onSmallDisk("size=1m", ["version"]);
  if (code !== 0) throw new Error(`${needed} (${err.trim()})`);
});

test("a disk that is full: what does not fit, and what to do", async () => {
  const [asked, served] = [
    await onSmallDisk("size=1m", ["run", "smollm2", ...QUESTION]),
    await onSmallDisk(
      "size=4k",
      ["serve", "--port", "0", "--timeout", "10s"],
      "head -c 4096 /dev/zero > filled",
    ),
  ];
  expect([asked, served]).toEqual([
    {
      code: 5,
      out: "",
      err: expect.stringMatching(
        /^unpacking .*\n✗ the disk is full: the native library could not be unpacked to DISK\/cache\/lib\/\w+\n→ free some space/,
      ),
    },
    {
      code: 5,
      out: "",
      err: expect.stringMatching(
        /^✗ the disk is full: DISK\/run\/daemon\.json.*\n→ free some space, or set EXO_HOME/,
      ),
    },
  ]);
});

test("a home that cannot be written: where, why, and what to do", async () => {
  const [asked, served] = [
    await onSmallDisk("size=1m,ro", ["run", "smollm2", ...QUESTION]),
    await onSmallDisk("size=1m,ro", ["serve", "--port", "0", "--timeout", "10s"]),
  ];
  expect([asked, served]).toEqual([
    {
      code: 1,
      out: "",
      err: expect.stringMatching(
        /^✗ the native library .* DISK\/cache\/lib\/\w+ \(EROFS\)\n→ make it writable for you, or/,
      ),
    },
    {
      code: 1,
      out: "",
      err: expect.stringMatching(/^✗ DISK\/run\/daemon\.json.* \(EROFS\)\n→ make it writable for you, or/),
    },
  ]);
});

test("a home that is a file", async () => {
  using folder = freshFolder();
  const file = join(folder.path, "file");
  writeFileSync(file, "");
  const asked = await run(["run", "smollm2", "hi"], { home: folder.path, env: { EXO_HOME: file } });
  expect(asked).toEqual({
    code: 1,
    out: "",
    err: expect.stringMatching(
      /^✗ the native library .* \(\w+\)\n→ what lies there is no folder: move it away, or set EXO_HOME to one/,
    ),
  });
});

test("what only reads needs no home that can be written", async () => {
  const listed = await onSmallDisk("size=1m,ro", ["ls", "-q"]);
  expect(listed).toEqual({ code: 0, out: "smollm2\n", err: "" });
});
