/** `exo invite` on one machine and `exo join` on another, as two users type them: processes of their own on one machine. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { environmentOf, exo, freshFolder, fromSource } from "../cli/exo.ts";
import { until } from "../node/crashes.ts";
import { msUntil, type Running, started } from "./processes.ts";

const TEST_MS_MAX = 180_000;
const folder = freshFolder();
afterAll(() => folder[Symbol.dispose]());

/** `exo serve` in a fresh home whose members' port is free. */
async function machine(name: string, settings = ""): Promise<{ home: string; running: Running }> {
  const home = join(folder.path, name);
  mkdirSync(join(home, "exo"), { recursive: true });
  writeFileSync(join(home, "exo", "exo.yaml"), `cluster:\n  name: ${name}\n  port: 0\n${settings}`);
  return { home, running: await started({ name, folder: home }) };
}

/** `exo invite --json`: its first line, and what it prints after it. */
async function inviting(home: string, ...flags: readonly string[]) {
  const child = Bun.spawn([...fromSource, "invite", "--json", "--ttl", "60s", ...flags], {
    env: environmentOf(home),
    cwd: home,
    stdout: "pipe",
    stderr: "pipe",
  });
  const reader = child.stdout.getReader();
  const line = async () => JSON.parse(new TextDecoder().decode((await reader.read()).value));
  const { code, port } = await line();
  return { code: String(code), at: `127.0.0.1:${port}`, next: line, child };
}

describe("two machines", () => {
  test(
    "pair by a code; both show the other's name, as up, also after a restart",
    async () => {
      const [studio, mini] = [await machine("studio"), await machine("mini")];
      await using host = studio.running;
      const { code, at, next, child } = await inviting(studio.home);
      const wrong = await exo(["join", code.replace(/.$/, (sign) => (sign === "A" ? "B" : "A")), at], mini);
      const joined = await exo(["join", code, at], mini);
      const came = await next();
      expect({
        wrong: [wrong.code, wrong.err],
        joined: [joined.code, joined.err],
        came: came.name,
        ended: await child.exited,
      }).toEqual({
        wrong: [2, expect.stringContaining("a sign of the code is wrong; nothing was sent")],
        joined: [0, expect.stringMatching(/^✓ joined the home of studio \(\w{8}\) as mini\n$/)],
        came: "mini",
        ended: 0,
      });
      await msUntil([host, mini.running], (view) =>
        Object.values(view).some((state) => state.startsWith("up")),
      );
      await mini.running.kill("SIGTERM");
      await using again = await started({ name: "mini", folder: mini.home });
      await msUntil([host, again], (view) => Object.values(view).some((state) => state.startsWith("up")));
      const names = (await again.nodes()).map(({ name }) => name).sort();
      const used = await exo(["join", code, at], mini);
      expect({ names, used: [used.code, used.err] }).toEqual({
        names: ["mini", "studio"],
        used: [7, expect.stringContaining("belongs to a home with other machines already")],
      });
    },
    TEST_MS_MAX,
  );

  test(
    "pair with one of them as a worker, which computes and has no say",
    async () => {
      const [attic, cellar] = [await machine("attic"), await machine("cellar")];
      await using host = attic.running;
      await using guest = cellar.running;
      const { code, at, next } = await inviting(attic.home, "--role", "worker");
      const joined = await exo(["join", code, at], cellar);
      await next();
      await msUntil([host, guest], (view) => Object.values(view).some((state) => state.startsWith("up")));
      const drained = await exo(["node", "attic", "drain"], cellar);
      const [shown, json] = await Promise.all([exo(["nodes"], attic), exo(["nodes", "--json"], attic)]);
      const role = await exo(["node", "cellar", "role", "full"], attic);
      await until(
        () => guest.nodes(),
        (nodes) => nodes.every((each) => each.role !== "worker"),
      );
      const now = await exo(["node", "attic", "label", "room=top"], cellar);
      expect({
        joined: joined.code,
        drained: [drained.code, drained.err],
        shown: shown.out.includes("up, worker"),
        json: json.out.includes('"role":"worker"'),
        role: [role.code, role.err],
        now: now.code,
      }).toEqual({
        joined: 0,
        drained: [7, expect.stringContaining("this machine is a worker of its home")],
        shown: true,
        json: true,
        role: [0, expect.stringContaining("cellar has a say in its home")],
        now: 0,
      });
    },
    TEST_MS_MAX,
  );

  test(
    "stay apart when the invite ends with Ctrl-C, and when nobody invites",
    async () => {
      const [left, right] = [await machine("left"), await machine("right")];
      await using host = left.running;
      await using guest = right.running;
      const { code, at, child } = await inviting(left.home);
      child.kill("SIGINT");
      const ended = await child.exited;
      const late = await exo(["join", code, at], right);
      const nobody = await exo(["join", code], right);
      const views = [await host.nodes(), await guest.nodes()].map((nodes) => nodes.length);
      expect({ ended, late: [late.code, late.err], nobody: [nobody.code, nobody.err], views }).toEqual({
        ended: 130,
        late: [7, expect.stringContaining("was closed, by its user or after three wrong codes")],
        nobody: [4, expect.stringContaining("no machine nearby has an invite open")],
        views: [1, 1],
      });
    },
    TEST_MS_MAX,
  );
});

test("a machine without exo serve says what to start; a secret is made without one", async () => {
  using home = freshFolder();
  const [invite, join, secret] = await Promise.all([
    exo(["invite"], { home: home.path }),
    exo(["join", "K7QM-2XTP"], { home: home.path }),
    exo(["invite", "--secret"], { home: home.path }),
  ]);
  expect([invite.code, join.code, invite.err, secret.code, secret.out]).toEqual([
    3,
    3,
    expect.stringContaining("exo serve"),
    0,
    expect.stringMatching(/^cluster:\n {2}secret: [a-z2-7]{52}\n$/),
  ]);
});

test("a copied home gets an identity of its own once nothing runs there", async () => {
  const { home, running } = await machine("copy");
  const before = (await running.nodes())[0]?.node;
  const busy = await exo(["node", "reset-identity", "--yes"], { home });
  await running.kill("SIGTERM");
  const unsure = await exo(["node", "reset-identity"], { home });
  const done = await exo(["node", "reset-identity", "--yes"], { home });
  await using again = await started({ name: "copy", folder: home });
  const after = (await again.nodes())[0]?.node;
  expect({ busy: busy.code, unsure: unsure.code, done: done.code, another: before !== after }).toEqual({
    busy: 8,
    unsure: 2,
    done: 0,
    another: true,
  });
});
