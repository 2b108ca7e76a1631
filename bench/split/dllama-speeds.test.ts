import { expect, test } from "bun:test";
import { dllamaSpeeds } from "./dllama-speeds.ts";

const part = (title: string, more: string, speed: string) =>
  `${title}\n${more}    nTokens: 511\n   tokens/s: ${speed} (9.99 ms/tok)\n`;

test("distributed-llama's speeds are read from the two parts that it ends with", () => {
  const told = `a prompt\n\n${part("Evaluation", "   nBatches: 32\n", "72.19")}${part("Prediction", "", "26.16")}`;
  expect(dllamaSpeeds(told)).toEqual({ prefill: 72.19, decode: 26.16 });
});

test("an answer of distributed-llama without speeds is told as it is", () => {
  expect(() => dllamaSpeeds("Critical error: Cannot open file")).toThrow(
    "distributed-llama told no speed of its Evaluation: Critical error: Cannot open file",
  );
});
