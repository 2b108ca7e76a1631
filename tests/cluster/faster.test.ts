/** A model that is asked of a slow machine, which could hold it, is answered by a much faster one of its home. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { freshFolder } from "../cli/exo.ts";
import { askedOn, canMakeSegments, segment } from "./namespaces.ts";
import { members, msUntil, started } from "./processes.ts";

setDefaultTimeout(180_000);

const QUESTION = ["--seed", "7", "--temp", "1", "--max-tokens", "8", "Tell me of the sea."];

// On networks of their own: processes that see each other on one computer share its cores, and are not compared.
test.if(await canMakeSegments())(
  "what a slow machine is asked goes to a fast one that has the model, unless its user says here",
  async () => {
    using folder = freshFolder();
    const stack = new AsyncDisposableStack();
    await using _ = stack;
    const net = stack.use(await segment(2));
    const names = ["ada", "bob"] as const;
    const machines = await members(folder.path, names, [net.address(0), net.address(1)]);
    const slow = ["env", "EXO_CPU_KERNELS=mlx", "EXO_THREADS=1"];
    const running = await Promise.all(
      machines.map(async (machine, i) =>
        stack.use(await started(machine, { prefix: [...net.on(i), ...(i === 0 ? slow : [])], args: [] })),
      ),
    );
    await msUntil(running, (view) => names.every((name) => /^(self|up)/.test(view[name] ?? "")));
    const on = async (name: (typeof names)[number], ...words: readonly string[]) => {
      const at = names.indexOf(name);
      return await askedOn(net, at, { folder: join(folder.path, name) }, ...words);
    };
    const loadedAt = async (name: (typeof names)[number]) => {
      const { models } = JSON.parse((await on(name, "ps", "--json")).out);
      return models.map(({ stages }: { stages?: { name: string }[] }) =>
        stages ? stages.map((stage) => stage.name) : "alone",
      );
    };
    const asked = async (...flags: readonly string[]) => {
      const answer = await on("ada", "run", "smollm2", ...flags, ...QUESTION);
      // What bob has in memory by itself is not there twice for long.
      while ((await loadedAt("bob")).includes("alone"));
      const where = [await loadedAt("ada"), await loadedAt("bob")];
      await on("ada", "stop", "smollm2");
      return { code: answer.code, said: answer.err, isAnswer: answer.out.length > 1, where };
    };
    const isKnown = async (name: (typeof names)[number]) =>
      JSON.parse((await on(name, "plan", "smollm2", "--measure", "--json")).out).calibrated;
    for (const name of names) while (!(await isKnown(name)));
    await on("bob", "run", "smollm2", "--max-tokens", "1", "Hi");
    expect([await asked(), await asked("--nodes", "ada")]).toEqual([
      {
        code: 0,
        said: expect.stringMatching(
          /^smollm2 is on bob, predicted to answer [\d.]+ times as fast as ada \(exo rebalance smollm2 --nodes ada moves it there\)\n$/,
        ),
        isAnswer: true,
        where: [[["bob"]], [["bob"]]],
      },
      {
        code: 0,
        said: expect.not.stringContaining("predicted"),
        isAnswer: true,
        where: [[["ada"]], [["ada"]]],
      },
    ]);
  },
);
