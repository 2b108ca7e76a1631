/** A machine that lacks a model asks for what another of its home has. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { homeOf } from "./home-of.ts";

setDefaultTimeout(180_000);

const GGUF = resolve(import.meta.dir, "../../.cache/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
const QUESTION = ["--seed", "7", "--temp", "1", "--max-tokens", "16", "Tell me of the sea."];

test("a machine that lacks a model plans, and answers without fetching, what another of its home has", async () => {
  await using home = await homeOf("ada", "bob");
  const [ada, bob] = home.all;
  const models = join(ada.folder, "exo", "models");
  mkdirSync(models, { recursive: true });
  // Under a name that no other machine knows.
  symlinkSync(GGUF, join(models, "sea.gguf"));
  const planned = async ({ exo }: typeof ada, ...flags: readonly string[]) => {
    const { model, streams, nodes, ranked } = JSON.parse((await exo("plan", "sea", "--json", ...flags)).out);
    return {
      model,
      streams,
      isPlanned: ranked.length > 0,
      nodes: nodes.map(({ name }: { name: string }) => name).sort(),
    };
  };
  const listed = (await (await fetch(`${bob.url}/v1/models`)).json()) as {
    data: { id: string; exo: object }[];
  };
  await bob.exo("links", "--measure");
  const plans = [await planned(ada), await planned(bob), await planned(bob, "--nodes", "ada,bob")];
  const [own, asked] = [
    await ada.exo("run", "sea", ...QUESTION),
    await bob.exo("run", "sea", "--no-pull", ...QUESTION),
  ];
  const nowhere = [await bob.exo("plan", "lake"), await bob.exo("run", "lake", "--no-pull", ...QUESTION)];
  expect({
    plans,
    asked: [asked.code, asked.err, asked.out === own.out && own.out.length > 0],
    fetched: existsSync(join(bob.folder, "exo", "models")),
    listed: listed.data.filter(({ id }) => id === "sea").map(({ exo }) => exo),
    nowhere: nowhere.map(({ code, err }) => [code, err]),
  }).toEqual({
    plans: [
      { model: "sea", streams: 1, isPlanned: true, nodes: ["ada", "bob"] },
      { model: "sea", streams: 1, isPlanned: true, nodes: ["ada", "bob"] },
      { model: "sea", streams: 4, isPlanned: true, nodes: ["ada", "bob"] },
    ],
    asked: [0, "bob does not have sea\n", true],
    fetched: false,
    listed: [
      { state: "downloaded", machines: ["ada"], quantization: expect.any(String), size: expect.any(Number) },
    ],
    nowhere: Array(2).fill([4, expect.stringContaining('✗ there is no model called "lake"')]),
  });
});
