import { expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compiled, environmentOf, exo, freshFolder } from "./exo.ts";

const [binary = ""] = compiled;

test("dist/exo is built: bun run build", () => {
  expect(existsSync(binary)).toBe(true);
});

test("exo version names itself, its version and its commit; how soon is measured in tests/e2e/figures.test.ts", () => {
  const { stdout } = Bun.spawnSync([binary, "version"]);
  expect(stdout.toString()).toMatch(/^exo \d+\.\d+\.\d+ \([0-9a-f]{7,}\+?\)\n$/);
});

test("copied to an empty folder, with an empty home, it unpacks its library and finds itself well", async () => {
  using folder = freshFolder();
  const copy = join(folder.path, "bin", "exo");
  mkdirSync(join(folder.path, "bin"));
  copyFileSync(binary, copy);
  const doctor = () => exo(["doctor", "--json"], { home: folder.path, command: [copy] });
  const first = await doctor();
  const second = await doctor();
  const states = (out: string) =>
    Object.fromEntries(
      JSON.parse(out).checks.map((each: { name: string; state: string }) => [each.name, each.state]),
    );
  const well = {
    program: "ok",
    home: "ok",
    library: "ok",
    memory: "ok",
    disk: "ok",
    port: "ok",
    models: "warning",
  };
  expect([first.code, states(first.out), first.err, second.code, states(second.out), second.err]).toEqual([
    0,
    well,
    "unpacking the native library (once per version)\n",
    0,
    well,
    "",
  ]);
});

test("a library file that was tampered with is put right before it is used", async () => {
  using folder = freshFolder();
  const doctor = () => exo(["doctor", "--json"], { home: folder.path, command: compiled });
  await doctor();
  const lib = join(folder.path, "exo/cache/lib");
  writeFileSync(join(lib, readdirSync(lib)[0] ?? "", "libexo.so"), "not a library");
  const mended = await doctor();
  expect([mended.code, mended.err]).toEqual([0, "unpacking the native library (once per version)\n"]);
});

test("a folder's .env and bunfig.toml are not obeyed", async () => {
  using folder = freshFolder();
  writeFileSync(join(folder.path, ".env"), "EXO_HOST=http://evil.example\n");
  writeFileSync(join(folder.path, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  writeFileSync(join(folder.path, "evil.ts"), 'console.log("evil");\n');
  const { code, out } = await exo(["ls", "-q", "--json"], { home: folder.path, command: compiled });
  expect([code, out.includes("evil")]).toEqual([0, false]);
});

/** A node that holds no model; how soon it answers is measured in tests/e2e/figures.test.ts. */
const RESIDENT_BYTES_MAX = 90e6;

test("serve is small, and outlives the shell that started it", async () => {
  using folder = freshFolder();
  const said = join(folder.path, "ready.json");
  const start = performance.now();
  const shell = Bun.spawn(
    ["sh", "-c", `"${binary}" serve --port 0 --json >"${said}" 2>/dev/null & sleep 1`],
    {
      env: environmentOf(folder.path),
    },
  );
  const until = async (ready: () => Promise<boolean>) => {
    while (!(await ready())) {
      expect(performance.now() - start).toBeLessThan(10_000);
      await Bun.sleep(1);
    }
  };
  await until(async () => (await Bun.file(said).exists()) && (await Bun.file(said).text()).endsWith("\n"));
  const { url, pid } = await Bun.file(said).json();
  try {
    const health = async () => (await fetch(`${url}/healthz`)).status;
    expect(await health()).toBe(200);
    await shell.exited;
    const status =
      process.platform === "linux" ? await Bun.file(`/proc/${pid}/status`).text() : "VmRSS: 0 kB";
    const resident = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
    expect([resident < RESIDENT_BYTES_MAX, await health()]).toEqual([true, 200]);
  } finally {
    process.kill(pid, "SIGTERM");
  }
});
