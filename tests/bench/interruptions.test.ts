import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { exo, freshFolder, fromSource, started } from "../cli/exo.ts";
import { until } from "../e2e/product.ts";
import { httpTarget } from "./http-target.ts";

setDefaultTimeout(60_000);

const COMMON = ["-p", "20", "-n", "5", "--warmup", "0"];
const filesIn = (folder: string) =>
  readdirSync(join(folder, "bench"))
    .map((name) => name.replace(/\d{8}T\d{6}/, "TIME"))
    .toSorted();

test("a disk that is full costs the files and no figure", async () => {
  using home = freshFolder();
  await using target = httpTarget();
  // 8 blocks of 512 bytes for any file; the journal of one run fits, a second run and the report do not.
  const command = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", ...fromSource];
  const { code, out, err } = await exo(
    ["bench", "m", "--url", target.url, "-p", "20", "-n", "200", "-r", "4", "--warmup", "0"],
    { home: home.path, command },
  );
  expect([
    code,
    out.includes("20×200"),
    out.includes("could not be noted for --resume"),
    err.includes("could not be written"),
  ]).toEqual([1, true, true, true]);
  expect(filesIn(home.path).filter((name) => name.endsWith(".json"))).toEqual([]);
});

test("a report that could not be written is not lost: --resume writes it, in other formats too, without measuring again", async () => {
  using home = freshFolder();
  await using target = httpTarget();
  const args = ["bench", "m", "--url", target.url, ...COMMON, "-r", "3", "--formats"];
  // 16 blocks of 512 bytes: the page with its style is larger, and everything else is not.
  const command = ["sh", "-c", 'ulimit -f 16; exec "$@"', "sh", ...fromSource];
  const full = await exo([...args, "json,html"], { home: home.path, command });
  const asked = target.streamed();
  const resumed = await exo([...args, "json,csv", "--resume"], { home: home.path });
  expect([
    full.code,
    full.err.includes("could not be written"),
    resumed.code,
    resumed.err.includes("going on: 3 runs are measured already"),
    target.streamed() - asked,
    filesIn(home.path).filter((name) => !name.startsWith("m-TIME.json")),
  ]).toEqual([1, true, 0, true, 0, ["last.json", "m-TIME.csv"]]);
});

test("a report of what was measured before Ctrl-C that cannot be written is not left out in silence", async () => {
  using home = freshFolder();
  await using slow = httpTarget({ hangsFrom: 1 });
  const command = ["sh", "-c", 'ulimit -f 4; exec "$@"', "sh", ...fromSource];
  const child = started(["bench", "m", "--url", slow.url, ...COMMON, "-r", "3"], {
    home: home.path,
    command,
  });
  await until("the second request", () => slow.streamed() >= 2);
  child.kill("SIGINT");
  const [out, err] = [await new Response(child.stdout).text(), await new Response(child.stderr).text()];
  expect([await child.exited, out.startsWith("PARTIAL"), err.includes("could not be written")]).toEqual([
    130,
    true,
    true,
  ]);
  expect(filesIn(home.path)).toEqual(["m.journal.jsonl"]);
});

test("two benchmarks do not share a folder's journal, and a killed one leaves no lock that holds", async () => {
  using home = freshFolder();
  await using slow = httpTarget({ hangsFrom: 2 });
  const args = ["bench", "m", "--url", slow.url, ...COMMON, "-r", "4"];
  const child = started(args, { home: home.path });
  await until("the third request", () => slow.streamed() >= 3);
  const second = await exo(args, { home: home.path });
  child.kill("SIGKILL");
  await child.exited;
  slow.heal();
  const resumed = await exo([...args, "--resume", "--json"], { home: home.path });
  const { state, cells, warnings } = JSON.parse(resumed.out);
  expect([second.code, second.err.includes(`another exo bench (process ${child.pid}) is at work`)]).toEqual([
    8,
    true,
  ]);
  expect([resumed.code, resumed.err.split("\n")[0], state, cells[0].runs.length]).toEqual([
    0,
    "going on: 2 runs are measured already",
    "complete",
    4,
  ]);
  expect(warnings).toContain(
    "2 of the runs were measured in an earlier sitting, maybe under other circumstances",
  );
  expect(filesIn(home.path)).toEqual(["last.json", "m-TIME.json"]);
});

test("a second Ctrl-C ends at once, and what a run without --resume begins anew is put aside", async () => {
  using home = freshFolder();
  await using slow = httpTarget({ hangsFrom: 1 });
  const args = ["bench", "m", "--url", slow.url, ...COMMON, "-r", "3"];
  const child = started(args, { home: home.path });
  await until("the second request", () => slow.streamed() >= 2);
  child.kill("SIGINT");
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  slow.heal();
  const anew = await exo(args, { home: home.path });
  expect([anew.code, anew.err.includes("--resume would have gone on from it")]).toEqual([0, true]);
  expect(filesIn(home.path)).toContain("m.journal.jsonl.old");
});
