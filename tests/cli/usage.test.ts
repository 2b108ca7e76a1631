import { expect, test } from "bun:test";
import { exo, freshFolder } from "./exo.ts";
import { fakeDaemon, loadedModel } from "./fake-daemon.ts";

const wrongUses: readonly (readonly [string, number, string])[] = [
  ["rnu smollm2", 2, "✗ unknown command 'rnu'\n→ did you mean run?\n"],
  ["run --tepm 1 m hi", 2, "✗ unknown option '--tepm'\n→ did you mean --temp?\n"],
  ["run", 2, "✗ no model was named\n→ exo run smollm2, or see what is here: exo ls\n"],
  [
    "run m",
    2,
    '✗ there is nothing to answer: no prompt was given and stdin is empty\n→ exo run m "question"\n',
  ],
  ["debug nothing", 2, "✗ nothing is nothing to look at\n→ exo debug trace\n"],
  ["stop", 2, "✗ no model was named\n→ exo stop MODEL, or exo stop --all\n"],
  ["completion bsh", 2, "✗ there is no completion for bsh\n→ did you mean bash?\n"],
  ["ps", 3, "✗ no exo is running on this machine\n→ start one: exo serve\n"],
  [
    "ps --host 127.0.0.1:1",
    3,
    "✗ no exo answers at http://127.0.0.1:1\n→ start one there (exo serve), or leave out --host and EXO_HOST\n",
  ],
  ["rm nothing -y", 4, "✗ nothing is not on this machine\n→ exo ls lists what is\n"],
  [
    "serve --bind 0.0.0.0",
    2,
    "✗ listening on 0.0.0.0 lets everyone in the network use this exo\n→ make a key for those who may: exo key create NAME; or listen on this machine only: leave out --bind\n",
  ],
];

test.each(wrongUses)("exo %s ends with %i and says what to do", async (line, code, err) => {
  using home = freshFolder();
  const ran = await exo(line.split(" "), { home: home.path });
  expect(ran).toEqual({ code, out: "", err });
});

const wrongValues = [
  "run --temp -1 m hi",
  "run --temp 2.1 m hi",
  "run --top-p 2 m hi",
  "run --top-k 1.5 m hi",
  "run --seed x m hi",
  "serve --port 70000",
  "ps --timeout soon",
];

test.each(wrongValues)("exo %s is a wrong use that names the flag", async (line) => {
  using home = freshFolder();
  const ran = await exo(line.split(" "), { home: home.path });
  const flag = /--[\w-]+/.exec(line)?.[0] ?? "";
  expect({ code: ran.code, names: ran.err.includes(flag), out: ran.out }).toEqual({
    code: 2,
    names: true,
    out: "",
  });
});

test("with --json a failure is one object on stdout", async () => {
  using home = freshFolder();
  const ran = await exo(["ps", "--json"], { home: home.path });
  expect({ code: ran.code, err: ran.err, error: JSON.parse(ran.out) }).toEqual({
    code: 3,
    err: "",
    error: {
      schema: "exo.error/1",
      error: {
        kind: "unavailable",
        message: "no exo is running on this machine",
        remedy: "start one: exo serve",
      },
      exitCode: 3,
    },
  });
});

test("an unknown key of exo.yaml is refused with the nearest known one", async () => {
  using home = freshFolder();
  await Bun.write(`${home.path}/exo/exo.yaml`, "api:\n  prot: 80\n");
  const ran = await exo(["ls"], { home: home.path });
  expect(ran).toEqual({
    code: 2,
    out: "",
    err: `✗ ${home.path}/exo/exo.yaml: api.prot is not known; did you mean api.port?\n→ known here: api.port, api.bind, api.key, api.require_key, api.hosts, api.origins, api.tls_cert, api.tls_key, api.plain_http\n`,
  });
});

test("no command shows help and is no failure", async () => {
  using home = freshFolder();
  const { code, out, err } = await exo([], { home: home.path });
  expect({ code, begins: out.split("\n")[0], err }).toEqual({
    code: 0,
    begins: "Usage: exo COMMAND [flags]",
    err: "",
  });
});

test("ps shows what is loaded, as a table and as JSON", async () => {
  using home = freshFolder();
  await using daemon = fakeDaemon({ models: [loadedModel("smollm2")] });
  const options = { home: home.path, env: { EXO_HOST: daemon.url } };
  const [shown, json, quiet] = await Promise.all([
    exo(["ps"], options),
    exo(["ps", "--json"], options),
    exo(["ps", "-q"], options),
  ]);
  expect({ shown: shown.out, json: JSON.parse(json.out), quiet: quiet.out }).toEqual({
    shown:
      "MODEL    STATE  WEIGHTS  QUANTISATION            CONTEXT  REQUESTS  PID\n" +
      "smollm2  ready  91.0 MB  4-bit affine, group 32  2048     0         4242\n",
    json: { schema: "exo.ps/1", url: daemon.url, models: [loadedModel("smollm2")] },
    quiet: "smollm2\n",
  });
});

test("ps says why a model failed, and why one whose parts are loaded does not answer yet", async () => {
  using home = freshFolder();
  const problem = { kind: "doesNotFit", message: "no plan fits sea" };
  const models = [
    { ...loadedModel("sea"), state: "failed", problem },
    { ...loadedModel("dune"), state: "loading", unmet: "bob/worker-1\x1b[2J\ncannot be reached" },
  ];
  await using daemon = fakeDaemon({ models });
  const { err } = await exo(["ps"], { home: home.path, env: { EXO_HOST: daemon.url } });
  expect(err).toBe(
    "sea failed: no plan fits sea\nthe workers of dune cannot meet yet: bob/worker-1\ufffd[2J cannot be reached\n",
  );
});

test("completion offers commands, flags and the models of exo.yaml", async () => {
  using home = freshFolder();
  await Bun.write(`${home.path}/exo/exo.yaml`, "models:\n  aliases:\n    tiny: owner/tiny-model\n");
  const words = (...typed: string[]) => exo(["__complete", "--", ...typed], { home: home.path });
  const [commands, flags, models] = await Promise.all([words("s"), words("run", "--to"), words("run", "ti")]);
  expect([commands.out, flags.out, models.out]).toEqual([
    "show\nserve\nstop\n",
    "--top-p\n--top-k\n",
    "tiny\n",
  ]);
});

test("a reader that leaves early is no failure", async () => {
  using home = freshFolder();
  const main = `${import.meta.dir}/../../actors/supervisor/main.ts`;
  const child = Bun.spawn(["sh", "-c", `"${process.execPath}" "${main}" help | true; echo done`], {
    env: { PATH: process.env.PATH ?? "", HOME: home.path },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect({ out, err }).toEqual({ out: "done\n", err: "" });
});
