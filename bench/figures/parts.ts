/** The figures to reach, part by part, in the order of the table. */

import { depth } from "./depth.ts";
import { atLeast } from "./figure.ts";
import { bandwidth } from "./memory.ts";
import type { Part } from "./part.ts";
import { comparison } from "./speeds.ts";
import { split } from "./split.ts";
import { start } from "./start.ts";
import { batch } from "./streams.ts";

const SMOLLM2 = { model: "smollm2", shown: "SmolLM2 Q4_1" } as const;
const ONE_B_Q4_0 = { model: "1b-q4_0", shown: "1B Q4_0" } as const;
const ONE_B_Q4_1 = { model: "1b-q4_1", shown: "1B Q4_1" } as const;
const EXPERTS = { model: "moe-q4_0", shown: "MoE Q4_0" } as const;

const decode = { measure: "decode", other: "llama.cpp", prompt: 64, output: 96 } as const;
const prefill = { measure: "prefill", other: "llama.cpp", prompt: 512, output: 1 } as const;
/** Stock MLX computes one token of a 1B in a second. */
const stock = { measure: "decode", other: "mlx-lm", prompt: 4, output: 24 } as const;

const splitDecode = { measure: "decode", prompt: 64, output: 64, goal: atLeast(1) } as const;
const splitPrefill = { measure: "prefill", prompt: 512, output: 1, goal: atLeast(1) } as const;
const LAYERS_AND_RANKS = ["pipeline", "tensor"] as const;

export const parts: readonly Part[] = [
  comparison({ name: "decode-smollm2", ...decode, ...SMOLLM2, goal: atLeast(1.2) }),
  comparison({ name: "decode-1b-q4_0", ...decode, ...ONE_B_Q4_0, output: 64, goal: atLeast(1.2) }),
  comparison({ name: "decode-1b-q4_1", ...decode, ...ONE_B_Q4_1, output: 64, goal: atLeast(1.5) }),
  bandwidth({ name: "memory-1b-q4_0", ...ONE_B_Q4_0, goal: atLeast(0.85) }),
  bandwidth({ name: "memory-1b-q4_1", ...ONE_B_Q4_1 }),
  comparison({ name: "prefill-smollm2", ...prefill, ...SMOLLM2, goal: atLeast(1.5) }),
  comparison({ name: "prefill-1b-q4_1", ...prefill, ...ONE_B_Q4_1, goal: atLeast(1.5) }),
  comparison({ name: "prefill-1b-q4_0", ...prefill, ...ONE_B_Q4_0, goal: atLeast(1.0) }),
  comparison({ name: "mlx-smollm2", ...stock, ...SMOLLM2, goal: atLeast(9) }),
  comparison({ name: "mlx-1b", ...stock, ...ONE_B_Q4_1, output: 8, goal: atLeast(30) }),
  depth({ name: "depth-smollm2", ...SMOLLM2, goal: atLeast(0.75) }),
  depth({ name: "depth-1b", ...ONE_B_Q4_0, goal: atLeast(0.75) }),
  depth({ name: "depth-smollm2-q8", ...SMOLLM2, kvQuant: "q8", goal: atLeast(0.75) }),
  depth({ name: "depth-1b-q8", ...ONE_B_Q4_0, kvQuant: "q8", goal: atLeast(0.75) }),
  batch({ name: "batch-smollm2", ...SMOLLM2, answer: 64, goal: atLeast(2) }),
  batch({ name: "batch-1b", ...ONE_B_Q4_0, answer: 24, goal: atLeast(2) }),
  start,
  comparison({ name: "decode-moe", ...decode, ...EXPERTS, goal: atLeast(1.1) }),
  split({ name: "split-decode-smollm2", ...splitDecode, ...SMOLLM2, strategies: ["pipeline"] }),
  split({ name: "split-prefill-smollm2", ...splitPrefill, ...SMOLLM2, strategies: ["pipeline"] }),
  split({
    name: "split-decode-1b",
    ...splitDecode,
    ...ONE_B_Q4_0,
    output: 32,
    strategies: LAYERS_AND_RANKS,
  }),
  split({ name: "split-prefill-1b", ...splitPrefill, ...ONE_B_Q4_0, strategies: ["pipeline"] }),
];
