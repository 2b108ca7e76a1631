/** `exo plan` over a home that is told: two machines, one of them small, and one that is drained. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { exo, freshFolder } from "./exo.ts";
import { loadedModel } from "./fake-daemon.ts";

const folder = join(import.meta.dir, "..", "..", ".cache", "models", "smollm2");
const model = join(folder, readdirSync(folder).find((file) => file.endsWith(".gguf")) ?? "");

function machine(name: string, gigabytes: number, more: object = {}) {
  const facts = {
    ...{ name, version: "0.1.0", os: "linux", arch: "x64", chip: "a chip", cores: 4, rdma: "none" },
    ...{ memoryBytes: gigabytes * 1e9, freeBytes: gigabytes * 1e9, accelerators: [], interfaces: [] },
  };
  const standing = { leader: false, voter: true, drained: false, excluded: false, labels: {}, addresses: [] };
  return { node: `id-${name}`, name, state: "up", ...standing, facts, ...more };
}

const link = (from: string, to: string) => ({
  ...{ from: `id-${from}`, to: `id-${to}`, medium: "ethernet", rdma: "none" },
  ...{ latencyMs: 0.4, bytesPerSecond: 118e6 },
});

/** Without models the key of who asks may not see them. */
function home(nodes: readonly object[], models: readonly object[] | undefined, others: readonly object[]) {
  const links = [link("studio", "mini"), link("mini", "studio")];
  const answers: Readonly<Record<string, object>> = {
    "/exo/v1/cluster": { nodes, links },
    "/exo/v1/ps": { models },
    "/exo/v1/copies": { others },
  };
  const refusal = { error: { message: "it lacks models.read", type: "permission_error" } };
  const fetch = (request: Request) => {
    const { pathname } = new URL(request.url);
    const isRefused = !models && pathname === "/exo/v1/ps";
    return Response.json(isRefused ? refusal : (answers[pathname] ?? { status: "ok" }), {
      status: isRefused ? 403 : 200,
      headers: { "x-exo-node": "fake" },
    });
  };
  return Bun.serve({ port: 0, hostname: "127.0.0.1", fetch });
}

const planned = (nodes: readonly object[], ...flags: readonly string[]) => plannedBeside([], nodes, ...flags);

/** With these models in memory. */
async function plannedBeside(
  models: readonly object[] | undefined,
  nodes: readonly object[],
  ...flags: readonly string[]
) {
  using folder = freshFolder();
  return await plannedAt(home(nodes, models, []), folder.path, flags);
}

async function plannedAt(asked: Bun.Server<undefined>, folder: string, flags: readonly string[]) {
  await using daemon = asked;
  return await exo(["plan", model, "--host", `http://127.0.0.1:${daemon.port}`, ...flags], { home: folder });
}

test("a machine that has another copy is in no plan, and that is said", async () => {
  using folder = freshFolder();
  const why = "has another sea than studio: the weights of the two differ";
  const nodes = [machine("studio", 8), machine("mini", 8)];
  const asked = (...flags: readonly string[]) =>
    plannedAt(home(nodes, [], [{ node: "id-mini", why }]), folder.path, ["--ctx", "2048", ...flags]);
  const { out } = await asked();
  const { err } = await asked("--nodes", "studio,mini");
  const json = JSON.parse((await asked("--json")).out);
  expect({
    lines: out.split("\n").slice(1, 4),
    why: err.includes(`2 machines are needed, 1 can take part; mini ${why}`),
    leftOut: json.leftOut,
  }).toEqual({
    lines: [
      expect.stringMatching(/^1 {2}studio /),
      `–  mini ${why}`,
      expect.stringContaining("uncalibrated"),
    ],
    why: true,
    leftOut: [{ node: "id-mini", name: "mini", because: "otherCopy", why }],
  });
});

test("placements are ranked, and with --explain every other has its reason", async () => {
  const nodes = [machine("studio", 8), machine("mini", 0.5), machine("tower", 64, { drained: true })];
  const { code, out, err } = await planned(nodes, "--ctx", "2048", "--explain");
  expect({
    code,
    err,
    lines: out.split("\n").map((line) => line.replace(/\d+(\.\d+)? t\/s/g, "N t/s")),
  }).toEqual({
    code: 0,
    err: "",
    lines: [
      expect.stringMatching(/^# {2}NODES +SPLIT +MEMORY +PREFILL +DECODE +IN ALL$/),
      expect.stringMatching(/^1 {2}studio +layers 0–29 +315 MB +N t\/s +N t\/s +N t\/s$/),
      expect.stringMatching(/^2 {2}(studio\+mini|mini\+studio) +layers 0–\d+ \| \d+–29 +\d+ MB \+ \d+ MB/),
      "–  mini by itself: 70.7 MB short on mini",
      "–  tensor over 2: 9 attention heads do not divide by 2",
      "–  tower takes no part: drained",
      "speeds are assumed from data sheets, not measured here: uncalibrated",
      "",
    ],
  });
});

test("a machine of the home that takes no part is told of without being asked for, one that is not named is not", async () => {
  const nodes = [machine("studio", 8), machine("mini", 8), machine("tower", 64, { drained: true })];
  const { out } = await planned(nodes, "--ctx", "2048", "--nodes", "studio");
  const all = await planned(nodes, "--ctx", "2048");
  const said = [out, all.out].map((each) => each.split("\n").filter((line) => line.startsWith("–")));
  expect(said).toEqual([[], ["–  tower takes no part: drained"]]);
});

test("of more machines than can all be looked at, how much faster another plan might be is said, also where speeds are measured", async () => {
  const speeds = [
    {
      ...{
        architecture: "llama",
        quantisation: "Q4_1 as 4-bit affine (exact), Q8_0 as 8-bit affine (exact)",
      },
      ...{ layerBytes: 2e6, bytesPerSecond: 2e10, flopsPerSecond: 1e11, layerMs: 0.02, stepMs: 0.2 },
      together: [],
    },
  ];
  const nodes = Array.from({ length: 9 }, (_, at) => {
    const made = machine(`m${at}`, 8);
    return { ...made, facts: { ...made.facts, speeds } };
  });
  const { code, out } = await planned(nodes, "--ctx", "2048");
  expect([code, out.split("\n").slice(2)]).toEqual([
    0,
    [
      expect.stringMatching(
        /^not every plan of 9 machines was looked at: the best possible may be up to (\d+ % faster|\d+\.\d times as fast)$/,
      ),
      "",
    ],
  ]);
});

test("models that would give way are named where nothing fits beside them, and with --explain", async () => {
  const models = [{ ...loadedModel("sea"), idle: true }, { ...loadedModel("dune") }];
  const refused = await plannedBeside(models, [machine("mini", 0.4)], "--ctx", "2048");
  const explained = await plannedBeside(models, [machine("studio", 8)], "--ctx", "2048", "--explain");
  const line = "sea is idle: what it takes is not counted as free, and it gives way where that makes room";
  expect([refused.err.split("\n")[0], explained.out.split("\n")[2]]).toEqual([
    expect.stringMatching(new RegExp(`^✗ no plan fits .*; ${line}$`)),
    `–  ${line}`,
  ]);
});

test("whose key may see the home, and not its models, is told of placements all the same", async () => {
  const { code, out } = await plannedBeside(undefined, [machine("studio", 8)], "--ctx", "2048", "--explain");
  expect([code, out.split("\n")[1]]).toEqual([0, expect.stringMatching(/^1 {2}studio /)]);
});

test("what several machines are to hold is planned for four answers at once, as it is placed, or for one where so many do not fit", async () => {
  const roomy = [machine("studio", 8), machine("mini", 8)];
  const narrow = [machine("studio", 0.55), machine("mini", 0.55)];
  const both = ["--nodes", "studio,mini", "--ctx", "4096"];
  const asked = [
    await planned(roomy, ...both),
    await planned(narrow, ...both),
    await planned(roomy, ...both, "--concurrency", "2"),
    await planned(roomy, "--min-nodes", "1", ...both),
  ];
  const four = "planned for 4 answers at once, as what several machines hold is placed (--concurrency)";
  expect(
    asked.map(({ code, out }) => [code, out.split("\n").find((line) => line.startsWith("planned"))]),
  ).toEqual([
    [0, four],
    [0, "planned for one answer at a time: 4 at once do not fit"],
    [0, undefined],
    [0, undefined],
  ]);
});

test("where nothing fits, the shortfall and the context that would fit are named", async () => {
  const { code, out, err } = await planned([machine("mini", 0.53)], "--ctx", "8192");
  expect({ code, out, err: err.split("\n") }).toEqual({
    code: 5,
    out: "",
    err: [
      expect.stringMatching(
        /^✗ no plan fits .* with a context of 8192: mini by itself: \d+ MB short on mini; .* short$/,
      ),
      "→ it would fit with less context: --ctx 512",
      "",
    ],
  });
});

test("what cannot be asked for is said: a machine that is not there, too many of them, a context that the model has not", async () => {
  const nodes = [machine("studio", 8), machine("mini", 4)];
  const stranger = await planned(nodes, "--nodes", "studio,atlas");
  const many = await planned(nodes, "--nodes", "studio,studio", "--min-nodes", "2");
  const nobody = await planned(nodes, "--nodes", "studio,");
  const long = await planned(nodes, "--ctx", "1000000");
  expect({
    stranger: [stranger.code, stranger.err],
    many: [many.code, many.err],
    nobody: [nobody.code, nobody.err.split("\n")[0]],
    long: [long.code, long.out.split("\n").at(-3)],
  }).toEqual({
    stranger: [4, "✗ no machine of this home is called atlas\n→ exo nodes lists them\n"],
    many: [
      5,
      expect.stringMatching(
        /: 2 machines are needed, 1 can take part; mini takes no part: not among --nodes\n→ name more machines with --nodes/,
      ),
    ],
    nobody: [2, expect.stringContaining("It must be names, separated by commas.")],
    long: [0, expect.stringMatching(/ knows no more than 8192 tokens: planned with a context of so many$/)],
  });
});

test("where memory is not what is missing, no less of it is advised", async () => {
  const nodes = [machine("studio", 8), machine("mini", 4)];
  const alone = await planned(nodes, "--nodes", "studio", "--strategy", "pipeline");
  const odd = await planned(nodes, "--strategy", "tensor");
  const single = await planned(nodes, "--strategy", "single", "--min-nodes", "2");
  expect([
    [alone.code, alone.err.slice(alone.err.indexOf(": "))],
    [odd.code, odd.err.slice(odd.err.indexOf(": "))],
    [single.code, single.err.slice(single.err.indexOf(": "))],
  ]).toEqual([
    [
      5,
      ": 2 machines are needed, 1 can take part; mini takes no part: not among --nodes\n→ name more machines with --nodes, ask for fewer with --min-nodes, or leave --strategy out; exo nodes shows which are there\n",
    ],
    [
      5,
      ": tensor over 2: 9 attention heads do not divide by 2\n→ leave --strategy out, or have another number of machines share it: --nodes\n",
    ],
    [
      5,
      ": single: one machine has all layers, and 2 are to take part\n→ leave --strategy out, or name one machine: --nodes\n",
    ],
  ]);
});

test("a backend that these machines or no machines have is refused", async () => {
  const nodes = [machine("studio", 8), machine("mini", 4)];
  const jaccl = await planned(nodes, "--backend", "jaccl");
  const rdma = await planned(nodes, "--backend", "rdma");
  expect([jaccl.code, jaccl.err, rdma.code, rdma.err.split("\n")[0]]).toEqual([
    1,
    "✗ ranks cannot add up by jaccl: studio is no Mac with Apple silicon; mini is no Mac with Apple silicon\n→ leave --backend out: auto takes the fastest that all of them can, ring works on any machines\n",
    2,
    expect.stringContaining("auto, ring, jaccl, nccl"),
  ]);
});

/** As `machine`, of a build that knows stages which ranks share. */
function fresh(name: string) {
  const made = machine(name, 8);
  return { ...made, facts: { ...made.facts, placements: ["sharedStages", "sharedHeads"] } };
}

test("stages that ranks share are planned only in a home that knows them, and each machine that does not is named", async () => {
  const nodes = [fresh("studio"), fresh("mini"), machine("old", 8, { drained: true })];
  const refused = await planned(
    [...nodes, { ...fresh("new"), facts: undefined }],
    ...["--strategy", "mixed", "--nodes", "studio,mini"],
  );
  expect([refused.code, refused.out, refused.err]).toEqual([
    1,
    "",
    "✗ no stage of a pipeline can be shared in this home: old has an exo that is too old for that; new did not say so far whether it knows such stages\n→ have every machine of the home run this version of exo, or ask for --strategy pipeline\n",
  ]);
});
