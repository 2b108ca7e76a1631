import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { compare } from "#actors/supervisor/bench/compare";
import { fileName, readReport, writeReport } from "#actors/supervisor/bench/files";
import { openJournal } from "#actors/supervisor/bench/journal";
import type { Measured } from "#actors/supervisor/bench/measure";
import { freshFolder } from "../cli/exo.ts";
import { benchmark } from "./bench-world.ts";
import { reportOf } from "./sample-report.ts";

const TWO = `  - {name: a, output_tokens: 11, repeat: 3}
  - {name: b, output_tokens: 11, repeat: 3}
`;
const [A, B] = ["a · m · 512×11 · 1 stream", "b · m · 512×11 · 1 stream"];
const measuredOnce = (repeat: number): readonly Measured[] => [{ run: { repeat, windowMs: 1, samples: [] } }];

test("every cell is measured as often as asked, round by round in an order of the seed", async () => {
  const { journal } = await benchmark(TWO);
  const rounds = [journal.slice(0, 2), journal.slice(2, 4), journal.slice(4)].map((round) =>
    round.toSorted(),
  );
  expect(rounds).toEqual([0, 1, 2].map((repeat) => [`${repeat} ${A}`, `${repeat} ${B}`]));
  expect((await benchmark(TWO)).journal).toEqual(journal);
});

test("warm-up requests come once per cell and are in no sample", async () => {
  const { cells, target } = await benchmark("  - {name: a, output_tokens: 11, warmup: 2, repeat: 3}");
  expect([target.asked.filter(({ body }) => body.stream).length, cells[0]?.summary.requests]).toEqual([5, 3]);
});

test("a cooldown lies between runs", async () => {
  const { clock } = await benchmark("  - {name: a, output_tokens: 11, cooldown: 10s, repeat: 3}");
  expect(clock.nowMs()).toBe(3 * 200 + 2 * 10_000);
});

test("resuming measures only what is missing, and the report has all", async () => {
  const before = [0, 1].map((repeat) => [A, repeat, measuredOnce(repeat)] as const);
  const { journal, cells } = await benchmark(TWO, {
    before: before.map(([key, repeat]) => [key, repeat, [0, 1].flatMap(measuredOnce)]),
  });
  expect(journal.toSorted()).toEqual([`0 ${B}`, `1 ${B}`, `2 ${A}`, `2 ${B}`]);
  expect(cells.map(({ scenario, runs }) => [scenario, runs.map(({ repeat }) => repeat)])).toEqual([
    ["a", [0, 1, 2]],
    ["b", [0, 1, 2]],
  ]);
});

test("Ctrl-C keeps what was measured, leaves out what it cut and sends nothing more", async () => {
  const scenario =
    "  - {name: a, output_tokens: 11, repeat: 5, load: {type: concurrent, streams: 2, requests: 4}}";
  const { cells, journal, target, done } = await benchmark(scenario, { abortMs: 650 });
  const [cell] = cells;
  // The first run took 400 ms; of the second, two answers were whole at 600.
  expect([journal, cell?.runs.map(({ samples }) => samples.length), cell?.summary.errors]).toEqual([
    ["0 a · m · 512×11 · 2 streams"],
    [4, 2],
    0,
  ]);
  expect([target.asked.filter(({ atMs }) => atMs > 650), done.warnings]).toEqual([[], []]);
});

test("Ctrl-C while a rate load waits for its next request ends it at once", async () => {
  const scenario =
    "  - {name: a, output_tokens: 11, load: {type: rate, rate: 1/m, arrival: constant, duration: 1h}}";
  const { cells, clock } = await benchmark(scenario, { abortMs: 1000 });
  expect([clock.nowMs(), cells[0]?.summary.requests]).toEqual([1000, 1]);
});

test("a journal is gone on from when the config is the same, without the half line of a killed process", async () => {
  using folder = freshFolder();
  const path = join(folder.path, "deep", "x.journal.jsonl");
  const first = await openJournal(path, { configHash: "h", resume: false });
  await first.journal.add(A, 0, measuredOnce(0));
  await first.journal.add(A, 1, measuredOnce(1));
  await Bun.write(path, `${await Bun.file(path).text()}\n{"key": "${B}`);
  const other = async (configHash: string, resume: boolean) => {
    const copy = join(folder.path, `${configHash}${resume}.jsonl`);
    await Bun.write(copy, Bun.file(path));
    const { found, journal } = await openJournal(copy, { configHash, resume });
    return [found, journal.has(A, 1), journal.has(B, 0), journal.measured.get(A)?.length];
  };
  expect([await other("h", true), await other("other", true), await other("h", false)]).toEqual([
    [2, true, false, 2],
    ["other", false, false, undefined],
    ["nothing", false, false, undefined],
  ]);
});

test("a complete report becomes the next baseline; a partial one, or one without an answer, does not", async () => {
  using folder = freshFolder();
  const dir = join(folder.path, "out");
  const partial = await writeReport({ ...reportOf(), state: "partial" }, dir, ["json"]);
  const last = () =>
    readReport(join(dir, "last.json")).then(
      ({ name }) => name,
      ({ message }) => message.split("/").at(-1),
    );
  const [cell] = reportOf().cells;
  const silent = cell && { ...cell, summary: { ...cell.summary, errors: cell.summary.requests } };
  await writeReport({ ...reportOf(), cells: silent ? [silent] : [] }, dir, ["json"]);
  const beforeComplete = await last();
  const complete = await writeReport(reportOf(), dir, ["table", "json", "csv", "markdown", "html"]);
  expect([partial, complete].map((paths) => paths.map((path) => path.slice(dir.length + 1)))).toEqual([
    ["home-20261121T101112-partial.json"],
    ["json", "csv", "md", "html"].map((extension) => `home-20261121T101112.${extension}`),
  ]);
  expect([beforeComplete, await last()]).toEqual(["last.json", "home"]);
});

test("what cannot be written or read as a report is said", async () => {
  using folder = freshFolder();
  mkdirSync(join(folder.path, "home-20261121T101112.json"));
  await Bun.write(join(folder.path, "x.json"), "{}");
  const words = (work: Promise<unknown>) =>
    work.then(
      () => "",
      ({ message }) => message.replaceAll(folder.path, ""),
    );
  expect([
    await words(writeReport(reportOf(), folder.path, ["json"])),
    await words(readReport(join(folder.path, "x.json"))),
    fileName("Qwen/Qwen3 30B: 4bit"),
    fileName("///"),
  ]).toEqual([
    expect.stringContaining("the report could not be written to"),
    "/x.json is no exo.bench/1 report",
    "qwen-qwen3-30b-4bit",
    "bench",
  ]);
});

test("a packed report is read like a plain one, and a damaged one is told by what is wrong with it", async () => {
  using folder = freshFolder();
  const [plain = "", packed = ""] = await writeReport(reportOf(), folder.path, ["json", "json.zst"]);
  const text = await Bun.file(plain).text();
  const words = async (content: string | Uint8Array) => {
    const path = join(folder.path, "x.json");
    await Bun.write(path, content);
    return await readReport(path).then(
      () => "read",
      ({ message }) => message.replaceAll(folder.path, ""),
    );
  };
  const bytes = await Bun.file(packed).bytes();
  expect([await readReport(packed), bytes.length < text.length / 2]).toEqual([await readReport(plain), true]);
  expect([
    await words(text),
    await words(text.slice(0, -20)),
    await words(bytes.slice(0, 40)),
    await words(text.replace('"windowMs":180', '"windowMs":"long"')),
  ]).toEqual([
    "read",
    expect.stringContaining("/x.json is no exo.bench/1 report: JSON Parse error"),
    expect.stringContaining("/x.json is no exo.bench/1 report: "),
    "/x.json is damaged, or of another version: /cells/0/runs/0/windowMs: expected number",
  ]);
});

test("the rows of CSV are also lines of JSON", async () => {
  using folder = freshFolder();
  const [path = ""] = await writeReport(reportOf(), folder.path, ["jsonl"]);
  const [row, ...more] = (await Bun.file(path).text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect([more.length, row.scenario, row.n_prompt, row.decode_tps, "goodput_per_s" in row]).toEqual([
    0,
    "chat",
    10,
    50,
    false,
  ]);
});

test("perplexity is scored over a text in parts, and a broken limit of it is found", async () => {
  const scenario = "  - {name: quality, output_tokens: 2, check: {perplexity: t.txt}}";
  const { done } = await benchmark(scenario, { files: { "t.txt": "word ".repeat(1000) } });
  const [found] = done.quality;
  // 5,000 characters are three parts, each of whose first token has nothing before it.
  expect([found?.scenario, found?.check, found?.value, found?.count]).toEqual([
    "quality",
    "perplexity",
    expect.closeTo(4),
    997,
  ]);
  const report = (value: number) => ({
    ...reportOf(),
    quality: [{ scenario: "q", model: "m", check: "perplexity", value, count: 9 } as const],
  });
  const limit = (text: string, sign: "+" | ">", amount: number) => [
    { metric: "perplexity", sign, amount, text },
  ];
  const broken = (limits: ReturnType<typeof limit>) =>
    compare(report(10), report(10.3), limits).broken.map((each) => each.found);
  expect([broken(limit("+1%", "+", 1)), broken(limit("+5%", "+", 5)), broken(limit(">10", ">", 10))]).toEqual(
    [["+3.0 %"], [], ["10.300"]],
  );
});
