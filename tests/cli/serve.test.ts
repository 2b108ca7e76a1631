import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { exo, freshFolder } from "./exo.ts";
import { serving } from "./serving.ts";

test("serve says where it listens, answers, registers, and takes all of it back when terminated", async () => {
  using home = freshFolder();
  await using server = await serving(home.path);
  const { ready, child } = server;
  const file = join(home.path, "exo/run/daemon.json");
  const health = await fetch(`${ready.url}/healthz`);
  const registered = await Bun.file(file).json();
  const ps = await exo(["ps", "--json"], { home: home.path });
  child.kill("SIGTERM");
  const code = await child.exited;
  expect({
    ready,
    health: health.status,
    registered,
    ps: JSON.parse(ps.out),
    code,
    left: existsSync(file),
  }).toEqual({
    ready: {
      schema: "exo.serve/1",
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      pid: child.pid,
      version: "0.1.0",
      models: [],
    },
    health: 200,
    registered: { url: ready.url, pid: child.pid, version: "0.1.0" },
    ps: { schema: "exo.ps/1", url: ready.url, models: [] },
    code: 143,
    left: false,
  });
});

test("Ctrl-C ends serve with 130", async () => {
  using home = freshFolder();
  await using server = await serving(home.path);
  server.child.kill("SIGINT");
  expect(await server.child.exited).toBe(130);
});

test("a port in use is said with who uses it and a free one beside it", async () => {
  using home = freshFolder();
  using other = freshFolder();
  await using server = await serving(home.path);
  const port = Number(new URL(server.ready.url).port);
  const beside = occupied(port + 1);
  // One after the other: each tries ports.
  const same = await exo(["serve", "--port", String(port)], { home: home.path });
  const elsewhere = await exo(["serve", "--port", String(port)], { home: other.path });
  beside?.stop(true);
  const [next = 0] = [same, elsewhere].map(({ err }) => Number(/exo serve --port (\d+)/.exec(err)?.[1]));
  const isFree = occupied(next);
  isFree?.stop(true);
  const remedy = `choose another port: exo serve --port ${next}, or --port 0 for any free one`;
  expect({ same, elsewhere, isFree: isFree !== undefined, isBeside: next > port + 1 }).toEqual({
    same: {
      code: 3,
      out: "",
      err: `✗ port ${port} is in use by another exo (process ${server.child.pid})\n→ use that one (exo run finds it), or ${remedy}\n`,
    },
    elsewhere: {
      code: 3,
      out: "",
      err: expect.stringContaining(`(process ${server.child.pid})\n→ ${remedy}`),
    },
    isFree: true,
    isBeside: true,
  });
});

/** Undefined: another program has it already. */
function occupied(port: number) {
  try {
    return Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
  } catch {
    return undefined;
  }
}

test("a daemon that was killed is not believed to run", async () => {
  using home = freshFolder();
  await using server = await serving(home.path);
  server.child.kill("SIGKILL");
  await server.child.exited;
  const ps = await exo(["ps"], { home: home.path });
  expect({ code: ps.code, left: existsSync(join(home.path, "exo/run/daemon.json")) }).toEqual({
    code: 3,
    left: true,
  });
});

test("with a key, only who has it is let in", async () => {
  using home = freshFolder();
  await using _ = await serving(home.path, ["--key", "s3cret"]);
  const [without, wrong, right] = await Promise.all([
    exo(["ps", "-q"], { home: home.path }),
    exo(["ps", "-q"], { home: home.path, env: { EXO_API_KEY: "guess" } }),
    exo(["ps", "-q"], { home: home.path, env: { EXO_API_KEY: "s3cret" } }),
  ]);
  expect([without.code, wrong.code, right.code]).toEqual([7, 7, 0]);
});

test("a model that does not exist ends serve with 4, names the nearest, and leaves nothing running", async () => {
  using home = freshFolder();
  const ran = await exo(["serve", "--port", "0", "--model", "smolm2"], { home: home.path });
  expect({
    code: ran.code,
    says: ran.err.includes("smolm2"),
    left: existsSync(join(home.path, "exo/run/daemon.json")),
  }).toEqual({
    code: 4,
    says: true,
    left: false,
  });
});

test("where no machine is heard, --list-peers says so, and what to do", async () => {
  using home = freshFolder();
  const namespace = crypto.randomUUID();
  const { code, out, err } = await exo(["serve", "--list-peers", "--namespace", namespace], {
    home: home.path,
  });
  expect({ code, rows: out.trim().split("\n").length, said: err.includes(namespace), err }).toEqual({
    code: 0,
    rows: 1,
    said: true,
    err: expect.stringContaining("start exo serve on them, or say where to look"),
  });
});
