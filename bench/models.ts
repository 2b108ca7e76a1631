/** The models that figures are measured on: the real one that the build fetches, and random ones written here. */
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  EXPERTS,
  type ModelShape,
  ONE_BILLION,
  type Packing,
  randomModel,
  SEVEN_BILLION,
} from "./peers-weights.ts";

export const root = resolve(import.meta.dir, "..");
export const benchCache = join(root, ".cache", "bench");

const RANDOM: Readonly<Record<string, { readonly shape: ModelShape; readonly packing: Packing }>> = {
  "1b-q4_0": { shape: ONE_BILLION, packing: "Q4_0" },
  "1b-q4_1": { shape: ONE_BILLION, packing: "Q4_1" },
  "7b-q4_0": { shape: SEVEN_BILLION, packing: "Q4_0" },
  "moe-q4_0": { shape: EXPERTS, packing: "Q4_0" },
};

export const modelNames: readonly string[] = ["smollm2", ...Object.keys(RANDOM)];

/** The GGUF file of a name, written first where it is a random model that is not there yet. */
export async function modelFile(name: string): Promise<string> {
  if (name === "smollm2") return smollm2();
  const { shape, packing } = randomShape(name);
  return await randomModel(join(benchCache, `random-${name}.gguf`), shape, packing);
}

/** The same where the name is no file or folder itself. */
export const modelPath = async (named: string): Promise<string> =>
  existsSync(named) ? named : await modelFile(named);

export function randomShape(name: string): { readonly shape: ModelShape; readonly packing: Packing } {
  const random = RANDOM[name];
  if (!random) throw new Error(`${name} is no model of this bench; there are ${modelNames.join(", ")}`);
  return random;
}

function smollm2(): string {
  const folder = join(root, ".cache", "models", "smollm2");
  const file = readdirSync(folder).find((each) => each.endsWith(".gguf"));
  if (file === undefined) throw new Error(`${folder} holds no .gguf file: run \`bun run build\` first`);
  return join(folder, file);
}
