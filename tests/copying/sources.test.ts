/** What a machine gives of its files, and what another takes of one that lies. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#actors/runtime/clock";
import type { Link } from "#actors/runtime/transport/network";
import { viewCheckpoint } from "#actors/shard-worker/weights/checkpoint-view";
import { Sources } from "#actors/supervisor/copying/source";
import { Copying, CopyingReply } from "#protocol/copying";
import type { Address } from "#protocol/ids";
import { type ProblemBody, problemOf } from "#protocol/problem";
import { homes, sourceOf, whole } from "./fetching.ts";
import { ADA, linkOf, lying, MIB, written } from "./two-machines.ts";

const {
  home,
  model: MODEL,
  digest: { whole: DIGEST, parts: PARTS },
  weights: WEIGHTS,
  fresh,
  tried,
  end,
} = await homes();
afterAll(end);
// Each writes and hashes some hundred megabytes.
setDefaultTimeout(120_000);

test("a source cannot name files outside of the model's folder, nor give another model than was asked for", async () => {
  const named = (name: string) =>
    lying(() => CopyingReply.Files({ files: [{ name, bytes: 3, headBytes: 3 }], parts: PARTS }));
  const names = ["../../evil.json", "/etc/evil.json", ".bashrc", "a/b.json", "..\\x.json", "run.sh"];
  const refused = await Promise.all(
    names.map((name, i) => tried(fresh(`evil${i}`), { source: named(name) })),
  );
  const other = await tried(fresh("other"), { digest: "0".repeat(64) });
  const path = await tried(fresh("path"), { digest: "../../../evil" });
  expect({
    refused: refused.map((why) => why.includes("names a file that no model has")),
    outside: [join(home, "evil.json"), "/etc/evil.json"].filter((each) => existsSync(each)),
    other,
    path,
  }).toEqual({
    refused: names.map(() => true),
    outside: [],
    other:
      "notFound: m is not on this machine, and cannot be had of another now: ada: the m of this machine is another one",
    path: "invalid: a model's digest is 64 hexadecimal digits",
  });
});

test("a source cannot have this machine set files apart that are larger than those of any model", async () => {
  const sized = (bytes: number, headBytes: number) =>
    lying(() => CopyingReply.Files({ files: [{ name: "m.safetensors", bytes, headBytes }], parts: PARTS }));
  const folder = fresh("huge");
  const refused = [
    await tried(folder, { source: sized(2 ** 50, 8) }),
    await tried(folder, { source: sized(2 ** 40, 2 ** 39) }),
    await tried(folder, { source: sized(2 ** 30, 2e8), freeBytes: 1e8 }),
  ];
  expect([refused.map((why) => why.replace(/.*: /, "")), readdirSync(folder)]).toEqual([
    [
      "the other machine names files larger than those of any model",
      "the other machine names files larger than those of any model",
      expect.stringMatching(/^200 MB more are needed for its part of m in .*/),
    ],
    [],
  ]);
});

/** A source of other files, which it says are m: it does not look whether they are what was asked for. */
async function offering(folder: string): Promise<(link: Link) => void> {
  const { whole: digest } = (await viewCheckpoint(folder)).digest;
  const take = sourceOf(folder);
  return (link) => {
    const { send } = link;
    link.send = (envelope) => send({ ...envelope, message: { ...envelope.message, ...{ parts: PARTS } } });
    take(link);
    const { onReceive } = link;
    link.onReceive = (envelope) =>
      onReceive({ ...envelope, message: { ...envelope.message, ...{ digest } } });
  };
}

/** Refuses the first that is asked of it, in these words, and is as honest as any other then. */
function refusingOnce(kind: ProblemBody["kind"]): (link: Link) => void {
  const honest = sourceOf(MODEL);
  const refuse = lying(() => CopyingReply.Refused({ problem: { kind, message: "the disk is full" } }));
  let asked = 0;
  return (link) => (asked++ === 0 ? refuse : honest)(link);
}

test("whatever a source refuses with, the others are asked, and it is asked again", async () => {
  const sources = [
    [refusingOnce("doesNotFit"), whole],
    [sourceOf(MODEL), whole],
  ] as const;
  const paths = [
    await tried(fresh("others"), { sources }),
    await tried(fresh("again"), { source: refusingOnce("doesNotFit") }),
    await tried(fresh("shortened"), { source: refusingOnce("invalid") }),
  ];
  expect(paths).toEqual(["others", "again", "shortened"].map((name) => join(fresh(name), "m")));
});

/** A folder with the same model, but for one file. */
function changed(name: string, file: string, content: string): string {
  const folder = written(join(home, name, "m"));
  writeFileSync(join(folder, file), content);
  return folder;
}

test("a part of another model under the same name is not loaded, whatever its source says", async () => {
  const config = JSON.parse(readFileSync(join(MODEL, "config.json"), "utf8"));
  const folders = [
    changed("config", "config.json", JSON.stringify({ ...config, rms_norm_eps: 1e-3 })),
    changed("tokenizer", "tokenizer.json", '{"other":1}'),
  ];
  const layers = { start: 0, end: 2 };
  const came = await Promise.all(
    folders.map(async (folder, at) => tried(fresh(`other${at}`), { layers, source: await offering(folder) })),
  );
  expect([came, folders.map((_, at) => readdirSync(join(fresh(`other${at}`), ".parts")))]).toEqual([
    [
      "invalid: m is not on this machine, and cannot be had of another now: ada: what it gave is not the model that was asked for, by its config",
      "invalid: m is not on this machine, and cannot be had of another now: ada: what it gave is not the model that was asked for, by its tokenizer",
    ],
    [[], []],
  ]);
});

test("who asks for a path of the other machine's disk hears nothing of it", async () => {
  const looked: string[] = [];
  const find = async (path: string) => {
    looked.push(path);
    return { name: "m", path: MODEL };
  };
  const sources = new Sources({ self: ADA, clock: systemClock, find });
  const said = async (model: string) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const [near, far] = linkOf(whole);
    sources.take(far);
    near.onReceive = ({ message }) => resolve(message.type);
    const open = Copying.Open({ model, digest: DIGEST });
    near.send({ to: "ada/files" as Address, from: "bob/files" as Address, message: open });
    return await promise.finally(() => near.close());
  };
  const paths = [MODEL, "/etc", "~/x", "../x", "a/../../x", "C:\\x"];
  expect([await Promise.all(paths.map(said)), looked, await said("m")]).toEqual([
    paths.map(() => "CopyingReply.Refused"),
    ["m"],
    "CopyingReply.Files",
  ]);
});

test("who asks gets the files of the model that it opened, in their bounds, and its link is closed for all else", async () => {
  const sources = new Sources({
    self: ADA,
    clock: systemClock,
    find: async () => ({ name: "m", path: MODEL }),
  });
  const fate = async (...messages: readonly { readonly type: string }[]) => {
    const [near, far] = linkOf(whole);
    sources.take(far);
    const { promise, resolve } = Promise.withResolvers<string>();
    let parts = 0;
    let [next] = messages;
    near.onReceive = ({ message }) => {
      const said = message as CopyingReply;
      if (said.type === "CopyingReply.Refused") resolve(problemOf(said.problem).message);
      else for (const each of messages.slice(1)) say(each);
    };
    near.onBody = () => void (++parts === messages.length - 1 && resolve(`${parts} parts`));
    near.onClose = () => resolve("closed");
    const say = (message: { readonly type: string }) =>
      near.send({ to: "ada/files" as Address, from: "bob/files" as Address, message });
    if (next) say(next);
    next = undefined;
    return await promise.finally(() => near.close());
  };
  const open = Copying.Open({ model: "m", digest: DIGEST });
  const read = (file: number, offset: number, length: number) => Copying.Read({ file, offset, length });
  expect([
    await fate(open, read(2, 0, 16), read(0, 1, 2)),
    await fate(open, read(2, WEIGHTS.length - 8, 16)),
    await fate(open, read(99, 0, 16)),
    await fate(read(0, 0, 16)),
    await fate(open, open),
    await fate(open, ...Array.from({ length: 200 }, () => read(2, 0, MIB))),
    await fate({ type: "Supervisor.List" }),
  ]).toEqual([
    "2 parts",
    `there is no byte ${WEIGHTS.length + 8} of file 2`,
    "there is no byte 16 of file 99",
    "there is no byte 16 of file 0",
    "closed",
    "closed",
    "closed",
  ]);
});
