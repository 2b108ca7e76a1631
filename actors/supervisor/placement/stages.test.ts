import { expect, test } from "bun:test";
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Stages, type StagesReply } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { Holder } from "./holder.ts";
import { answerStages } from "./stages.ts";

test("other machines ask for models by name: files elsewhere on this disk are not looked for", async () => {
  const looked: string[] = [];
  const find = async (model: string) => {
    looked.push(model);
    throw new Problem("notFound", "not here");
  };
  const measure = async () => {
    throw new Problem("notFound", "not here");
  };
  const behaviour = answerStages({} as Holder, find, { measure });
  const names = ["/etc", "~/x", "./m", "a/../../m", "C:\\m", "\\\\host\\m", "smollm2", "owner/name:q4"];
  const kinds = names.map(async (model) => {
    const { promise, resolve } = Promise.withResolvers<StagesReply>();
    const reply = (message: AnyMessage) => resolve(message as StagesReply);
    const delivery = { message: Stages.Look({ model }), from: "other/placement" as Address, reply };
    behaviour(delivery as unknown as Parameters<typeof behaviour>[0]);
    return (await promise).type;
  });
  expect([await Promise.all(kinds), looked]).toEqual([
    names.map(() => "StagesReply.Refused"),
    ["smollm2", "owner/name:q4"],
  ]);
});
