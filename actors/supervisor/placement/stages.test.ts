import { expect, test } from "bun:test";
import type { Address, NodeId } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Stages, type StagesReply } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { Holder } from "./holder.ts";
import { answerStages } from "./stages.ts";

const nobody = async (): Promise<never> => {
  throw new Problem("notFound", "not here");
};
const nothing = { models: async () => [], giveWay: async () => {}, giveUp: () => {} };
const stored = async () => [];

test("other machines ask for models by name: files elsewhere on this disk are not looked for", async () => {
  const looked: string[] = [];
  const find = async (model: string) => {
    looked.push(model);
    throw new Problem("notFound", "not here");
  };
  const behaviour = answerStages({
    ...{ holder: {} as Holder, find, calibration: { measure: nobody }, alone: nothing, stored },
    ...{ leader: () => undefined, troubled: () => {} },
  });
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

test("a model that this machine holds by itself, or its part of one, makes room for who leads alone, and the log says so", async () => {
  const did: string[] = [];
  const holder = {
    giveWay: (instance: string, epoch: number) => void did.push(`ends ${instance} of ${epoch}`),
  } as Holder;
  const behaviour = answerStages({
    ...{ holder, find: nobody, calibration: { measure: nobody }, leader: () => "lead" as NodeId },
    alone: { ...nothing, giveWay: async (model) => void did.push(`stops ${model}`) },
    stored,
    troubled: (why) => did.push(why),
  });
  const wholes = ["other", "lead"].map((node) => [node, Stages.GiveWay({ model: "sea", to: "m" })] as const);
  const part = { instance: "i", epoch: 7 };
  const parts = wholes.map(([node, message]) => [node, { ...message, part }] as const);
  const answers = [...wholes, ...parts].map(async ([node, message]) => {
    const { promise, resolve } = Promise.withResolvers<AnyMessage>();
    const delivery = { message, from: `${node}/placement` as Address, reply: resolve };
    behaviour(delivery as unknown as Parameters<typeof behaviour>[0]);
    return (await promise).type;
  });
  expect([await Promise.all(answers), did]).toEqual([
    ["StagesReply.Refused", "StagesReply.Ended", "StagesReply.Refused", "StagesReply.Ended"],
    [
      "stops sea",
      "ends i of 7",
      "sea, which this machine held by itself and nobody asked anything, was stopped for m",
    ],
  ]);
});
