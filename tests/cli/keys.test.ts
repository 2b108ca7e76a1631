import { expect, test } from "bun:test";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { configOf, surroundings } from "#actors/supervisor/home/config";
import { exo, freshFolder } from "./exo.ts";
import { serving } from "./serving.ts";

const made = async (home: string, ...words: readonly string[]) =>
  (await exo(["key", "create", ...words], { home })).out.trim();

const status = async (url: string, path: string, key?: string) =>
  (await fetch(url + path, { headers: key === undefined ? {} : { authorization: `Bearer ${key}` } })).status;

test("keys are made, shown once, listed, used by a server that runs, and revoked under it", async () => {
  using folder = freshFolder();
  const home = folder.path;
  await using server = await serving(home, ["--require-key"], { EXO_API_KEY: "first" });
  const laptop = await made(home, "laptop");
  const wide = await made(
    home,
    "--name",
    "wide",
    "--scope",
    "models.read,cluster.read",
    "--scope",
    "metrics",
  );
  const { keys } = JSON.parse((await exo(["key", "list", "--json"], { home })).out);
  const before = [
    await status(server.url, "/v1/models"),
    await status(server.url, "/v1/models", laptop),
    await status(server.url, "/exo/v1/cluster", laptop),
    await status(server.url, "/exo/v1/cluster", wide),
  ];
  const revoked = await exo(["key", "revoke", "laptop"], { home });
  const table = await exo(["key", "ls"], { home });
  expect({
    forms: [laptop, wide].map((key) => /^exo_[a-z2-7]{8}_[\w-]{43}$/.test(key)),
    keys,
    before,
    revoked: [revoked.code, revoked.err],
    after: [await status(server.url, "/v1/models", laptop), await status(server.url, "/v1/models", wide)],
    table: table.out.replace(/[a-z2-7]{8} /, "ID       "),
  }).toEqual({
    forms: [true, true],
    keys: [
      {
        id: laptop.slice(4, 12),
        name: "laptop",
        scopes: ["infer", "models.read"],
        createdAt: expect.any(Number),
      },
      {
        id: wide.slice(4, 12),
        name: "wide",
        scopes: ["models.read", "cluster.read", "metrics"],
        createdAt: expect.any(Number),
      },
    ],
    before: [401, 200, 403, 200],
    revoked: [0, "the key laptop is no key any more; streams that it opened end within a second\n"],
    after: [401, 200],
    table: expect.stringMatching(/^ID +NAME +SCOPES +MADE\nID +wide +models.read cluster.read metrics +\S/i),
  });
}, 120_000);

test("T15: keys on disk are hashes in files of their owner alone, and refused where others can read them", async () => {
  using folder = freshFolder();
  const home = folder.path;
  const text = await made(home, "laptop");
  const keys = join(home, "exo/keys");
  const [name = ""] = readdirSync(keys);
  const path = join(keys, name);
  const modes = [keys, path].map((each) => (statSync(each).mode & 0o777).toString(8));
  const kept = readFileSync(path, "utf8");
  chmodSync(path, 0o644);
  const wideFile = await exo(["key", "list"], { home });
  chmodSync(path, 0o600);
  chmodSync(keys, 0o755);
  const wideFolder = [
    await exo(["key", "create", "x"], { home }),
    await exo(["serve", "--bind", "0.0.0.0"], { home }),
  ];
  chmodSync(keys, 0o700);
  writeFileSync(path, kept.slice(0, 40));
  const damaged = await exo(["key", "list"], { home });
  const gone = await exo(["key", "revoke", name.slice(0, 8)], { home });
  expect({
    modes,
    secret: kept.includes(text.slice(13)),
    wideFile: [wideFile.code, wideFile.err],
    wideFolder: wideFolder.map(({ code, err }) => [code, err]),
    damaged: [damaged.code, damaged.err],
    gone: [gone.code, readdirSync(keys)],
  }).toEqual({
    modes: ["700", "600"],
    secret: false,
    wideFile: [7, `✗ ${path} can be read by others on this machine (mode 644)\n→ chmod 600 '${path}'\n`],
    wideFolder: Array(2).fill([
      7,
      `✗ ${keys} can be read by others on this machine (mode 755)\n→ chmod 700 '${keys}'\n`,
    ]),
    damaged: [1, `✗ ${path} is damaged\n→ exo key revoke ${name.slice(0, 8)}, and make another\n`],
    gone: [0, []],
  });
}, 120_000);

test("T15: no secret reaches the environment of children, by whatever name it came", () => {
  using folder = freshFolder();
  const secret = "marker-5b1e-qwertzuiopasdfghjklyxcvbnm";
  const env = {
    EXO_HOME: folder.path,
    EXO_API_KEY: secret,
    HF_TOKEN: secret,
    HUGGING_FACE_HUB_TOKEN: secret,
    MINE: secret,
    OURS: secret,
  };
  const read = () => "api: { key: env:MINE }\ncluster: { secret: env:OURS }";
  const config = configOf({}, { ...surroundings([]), env, read, folder: folder.path });
  expect([config.api.key, JSON.stringify(config.childEnvironment).includes(secret)]).toEqual([secret, false]);
});

test("wrong uses of exo key say what to write", async () => {
  using folder = freshFolder();
  const home = folder.path;
  const said = [];
  for (const words of [
    ["key", "make"],
    ["key", "create", "x", "--scope", "root"],
    ["key", "revoke"],
    ["key", "revoke", "x"],
    ["key", "create", "a\nb"],
  ])
    said.push(await exo(words, { home }).then(({ code, err }) => `${code} ${err}`));
  expect(said.join("")).toMatchInlineSnapshot(`
    "2 ✗ exo key knows no make
    → exo key create, exo key list or exo key revoke NAME
    2 ✗ "root" is no scope
    → there are infer, models.read, models.write, cluster.read, cluster.admin, metrics, and all
    2 ✗ exo key revoke needs an id or a name
    → exo key list shows them
    4 ✗ there is no key x
    → exo key list shows them
    2 ✗ "a\\nb" is no name for a key
    → use up to 64 letters, digits, spaces and . _ - @
    "
  `);
}, 120_000);

/** Where a process listens: `address:port` in hexadecimal by proc(5), without the port. */
function listening(pid: number): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const { stdout } = Bun.spawnSync(["readlink", `/proc/${pid}/fd/${fd}`]);
      return /socket:\[(\d+)\]/.exec(stdout.toString())?.[1] ?? [];
    }),
  );
  return ["tcp", "tcp6"].flatMap((family) =>
    readFileSync(`/proc/${pid}/net/${family}`, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode = ""]) => state === "0A" && inodes.has(inode))
      .map(([, local = ""]) => local.split(":")[0] ?? ""),
  );
}

test.if(process.platform === "linux")(
  "T9: exo serve listens on loopback alone, unless told where, and there only with keys",
  async () => {
    using folder = freshFolder();
    const home = folder.path;
    const at = async (args: readonly string[], env = {}) => {
      await using server = await serving(home, args, env);
      return listening(server.pid);
    };
    const plain = await at([]);
    const one = await at(["--bind", "127.0.0.1"]);
    const refused = await exo(["serve", "--bind", "0.0.0.0", "--port", "0"], { home });
    await made(home, "laptop");
    expect({
      plain: plain.filter((address) => address !== IPV6_LOOPBACK),
      one,
      refused: [refused.code, refused.err],
      keyed: await at(["--bind", "0.0.0.0"]),
      set: await at(["--bind", "0.0.0.0"], { EXO_API_KEY: "k" }),
    }).toEqual({
      plain: [LOOPBACK],
      one: [LOOPBACK],
      refused: [
        2,
        "✗ listening on 0.0.0.0 lets everyone in the network use this exo\n→ make a key for those who may: exo key create NAME; or listen on this machine only: leave out --bind\n",
      ],
      keyed: [EVERYWHERE],
      set: [EVERYWHERE],
    });
  },
  30_000,
);

const LOOPBACK = "0100007F";
const EVERYWHERE = "00000000";
const IPV6_LOOPBACK = "00000000000000000000000001000000";
