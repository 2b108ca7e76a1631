/** `exo node` on a real home of two processes, asked of the one that does not lead. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { exo, freshFolder } from "../cli/exo.ts";
import { members, msUntil, started, view } from "./processes.ts";

// Some fifteen commands one after the other, each started from source.
setDefaultTimeout(180_000);

test("a machine is renamed, labelled, drained, excluded, taken back and forgotten from any other", async () => {
  using folder = freshFolder();
  const [ada, bob] = await members(folder.path, ["ada", "bob"], []);
  if (!ada || !bob) throw new Error("two machines were asked for");
  await using first = await started(ada);
  await using second = await started(bob);
  await msUntil([first, second], (seen) => Object.values(seen).every((state) => /^(self|up)/.test(state)));
  const ask = async (...words: readonly string[]) => {
    const { code, err } = await exo(["node", ...words], { home: bob.folder });
    return `${code} ${err}`;
  };
  const said = [
    await ask("ada", "rename", "studio"),
    await ask("studio", "label", "room=attic", "floor=2"),
    await ask(ada.identity.node.slice(0, 8).toUpperCase(), "drain"),
    await ask("studio", "label", "nonsense"),
    await ask("studio", "fly"),
    await ask("nobody", "drain"),
    await ask("studio", "rename", "attic,cellar"),
    await ask("studio", "rename", ""),
    await ask("studio", "label", `room=${"x".repeat(65)}`),
    await ask("studio", "rename", "bob"),
    await ask("bob", "takeover", "-y"),
    await ask("bob", "forget"),
  ];
  const bars = async () => {
    const studio = (await second.nodes()).find(({ name }) => name === "studio");
    return { labels: studio?.labels, drained: studio?.drained, excluded: studio?.excluded };
  };
  const drained = await bars();
  const excluded = { said: await ask("studio", "exclude"), ...(await bars()) };
  const shown = await exo(["nodes"], { home: bob.folder });
  const resumed = { said: await ask("studio", "resume"), ...(await bars()) };
  const rotated = await exo(["rotate-key"], { home: bob.folder });
  const gone = await ask("bob", "forget", "-y");
  const labels = { room: "attic", floor: "2" };
  await msUntil([second], (seen) => Object.keys(seen).length === 1);
  expect({
    said,
    drained,
    excluded,
    shown: shown.out.includes("drained, excluded"),
    resumed,
    rotated: [rotated.code, rotated.err.split(";")[0]],
    gone,
    first: await view(first),
  }).toEqual({
    said: [
      "0 studio is its new name\n",
      "0 studio is labelled floor=2 room=attic\n",
      "0 studio takes no new work\n",
      "2 ✗ a label is NAME=VALUE\n→ exo node studio label room=attic (room= takes it away)\n",
      "2 ✗ fly is nothing to do with a machine\n→ one of: rename, label, drain, resume, exclude, forget, takeover, role\n",
      "4 ✗ no machine of this home is called nobody; exo nodes lists them\n",
      "2 ✗ a machine's name has no comma and no *: attic,cellar; exo node NAME rename NEW, with another\n",
      '2 ✗ `name` must be a text of 1 to 64 characters, not ""\n',
      `2 ✗ \`labels.room\` must be a text of at most 64 characters, not "${"x".repeat(59)}…\n`,
      "1 ✗ another machine of this home is called bob; exo node NAME rename NEW, with another\n",
      "7 ✗ studio is up and votes: this home needs no takeover\n",
      "2 ✗ forget needs a yes: let bob be no machine of this home any more?\n→ add --yes\n",
    ],
    drained: { labels, drained: true, excluded: false },
    excluded: { said: "0 studio is not used for models\n", labels, drained: true, excluded: true },
    shown: true,
    resumed: { said: "0 studio takes work\n", labels, drained: false, excluded: false },
    rotated: [0, "this home has another key"],
    gone: "0 bob is no machine of this home any more\n",
    first: { studio: "self*+" },
  });
});

test("where no machine leads, exo invite says so at once, and what to do", async () => {
  using folder = freshFolder();
  const [, bob] = await members(folder.path, ["ada", "bob"], []);
  if (!bob) throw new Error("two machines were asked for");
  await using _alone = await started(bob);
  const { code, err } = await exo(["invite"], { home: bob.folder });
  expect({ code, err }).toEqual({
    code: 8,
    err: "✗ no machine leads this home now, so that nobody can be let in; start ada again, or let this machine lead if that is gone for good: exo node 'bob' takeover\n",
  });
});
