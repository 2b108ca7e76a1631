/** From a folder's tensors to those that models ask for: what is left out, and which single experts make one stack. */
import type { Dtype } from "#ffi/array";
import { Problem } from "#protocol/problem";
import type { ModelConfig } from "./config.ts";
import { quoted } from "./file-bytes.ts";
import type { StoredTensor } from "./safetensors.ts";

/** A tensor as models know it: one that is stored, or several that are stacked along a new first axis. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype?: Dtype;
  readonly storedAs: string;
  readonly stacked: boolean;
  readonly parts: readonly StoredTensor[];
  readonly bytes: number;
}

/** Mixtral's own words for the three matrices of an expert. */
const projections: Readonly<Record<string, string>> = { w1: "gate_proj", w2: "down_proj", w3: "up_proj" };

/** Older files carry these buffers; models compute them. */
const computed = /\.rotary_emb\.inv_freq$/;
const oneExpert = /^(.+)\.experts\.(\d+)\.(w[123]|gate_proj|up_proj|down_proj)\.(weight|scales|biases|bias)$/;

/**
 * By the name that models use. Experts are looked for in every layer, because some layers have none. Throws Problem
 * naming an expert's tensor that is missing or unlike the others.
 */
export function nameTensors(
  stored: ReadonlyMap<string, StoredTensor>,
  config: ModelConfig,
): ReadonlyMap<string, NamedTensor> {
  const tied = config.tie_word_embeddings === true;
  const named = new Map<string, NamedTensor>();
  const stacks = new Map<string, Map<number, StoredTensor>>();
  for (const [name, tensor] of stored) {
    if (computed.test(name) || (tied && name.startsWith("lm_head."))) continue;
    const [, room, index, projection = "", kind] = oneExpert.exec(name) ?? [];
    if (room === undefined) named.set(name, single(tensor));
    else {
      const stack = `${room}.switch_mlp.${projections[projection] ?? projection}.${kind}`;
      stacks.set(stack, (stacks.get(stack) ?? new Map()).set(Number(index), tensor));
    }
  }
  for (const [name, experts] of stacks) named.set(name, stackOf(name, experts, expertCount(config)));
  return named;
}

function expertCount(config: ModelConfig): number {
  const count = config.num_local_experts ?? config.num_experts;
  if (typeof count === "number") return count;
  if (config.model_type === "mixtral") return MIXTRAL_EXPERTS;
  throw new Problem("invalid", "config.json lacks 'num_experts', but the checkpoint has experts", {
    param: "num_experts",
  });
}
/** What transformers takes where a Mixtral config does not say. */
const MIXTRAL_EXPERTS = 8;

const single = (tensor: StoredTensor): NamedTensor => ({ ...tensor, stacked: false, parts: [tensor] });

function stackOf(name: string, experts: ReadonlyMap<number, StoredTensor>, count: number): NamedTensor {
  const [first] = experts.values();
  if (!first || experts.size !== count || [...experts.keys()].some((index) => index >= count)) {
    let missing = 0;
    while (experts.has(missing)) missing++;
    const what =
      missing < count
        ? `no expert ${missing} of ${count}`
        : `${experts.size} experts, where config.json says ${count},`;
    throw new Problem("invalid", `the checkpoint has ${what} for ${quoted(name)}`, {
      remedy: "fetch the model again",
    });
  }
  const whole = [...experts].sort(([a], [b]) => a - b).map(([, part]) => part);
  const odd = whole.find(
    (part) => part.storedAs !== first.storedAs || part.shape.join() !== first.shape.join(),
  );
  if (odd) {
    throw new Problem(
      "invalid",
      `${odd.path}: tensor ${quoted(odd.name)} is ${odd.storedAs} [${odd.shape.join(", ")}], other experts are ${first.storedAs} [${first.shape.join(", ")}]`,
    );
  }
  const bytes = whole.reduce((sum, part) => sum + part.bytes, 0);
  return { ...first, name, shape: [count, ...first.shape], stacked: true, parts: whole, bytes };
}
