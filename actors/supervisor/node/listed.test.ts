import { expect, test } from "bun:test";
import type { ModelListing } from "#actors/api-gateway/ports";
import { accept } from "#protocol/message";
import { StagesReply } from "#protocol/placement";
import type { ModelState } from "#protocol/supervisor";
import { listed, toldOf } from "./listed.ts";

const facts = { contextLength: 8192, quantisation: "Q4_1", weightBytes: 5 };
const held = (model: string, path: string) =>
  ({ model, path, state: "ready", requests: 0, facts }) as unknown as ModelState;
const own = (id: string, path: string): ModelListing => ({
  ...{ id, path, bytes: 9, state: "downloaded", created: 7, quantisation: "Q4_1" },
});

test("each model is listed once, wherever it lies, how often, and which copy or machines hold it in memory", () => {
  const sea = { model: "sea", bytes: 9, created: 8, quantisation: "Q4_1" };
  const here = [own("twice", "/a"), own("twice", "/b"), own("shared", "/c"), own("idle", "/d")];
  const memory = [held("twice", "/b"), held("shared", ""), held("sea", ""), held("/tmp/x.gguf", "")];
  const elsewhere = [
    { ...sea, on: ["ada"] },
    { ...sea, model: "idle", on: ["ada"] },
  ];
  const shown = listed(here, memory, elsewhere).map(
    ({ id, state, created, contextLength, on }) => `${id} ${state} ${created} ${contextLength} ${on}`,
  );
  expect(shown).toEqual([
    "twice ready 7 8192 undefined",
    "shared ready 7 8192 undefined",
    "idle downloaded 7 undefined undefined",
    "sea ready 8 8192 ada",
    "/tmp/x.gguf ready 0 8192 undefined",
  ]);
});

test("other machines are told of models that can be asked for, also where its files say what no message may hold", () => {
  const odd = { ...own("odd", "/a"), created: 2 ** 60, quantisation: "x".repeat(5000) };
  const models = toldOf([odd, own("n".repeat(4097), "/b"), own("sea", "/c")]);
  expect(accept(StagesReply.Stored({ models: [...models] }))).toMatchObject({
    models: [
      { model: "odd", bytes: 9, created: 8_640_000_000_000, quantisation: "x".repeat(256) },
      { model: "sea", bytes: 9, created: 7, quantisation: "Q4_1" },
    ],
  });
});
