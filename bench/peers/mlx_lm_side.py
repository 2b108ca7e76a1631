# Stock MLX as one side of bench/peers.ts, through mlx-lm:
#   python bench/peers/mlx_lm_side.py MODEL.gguf CONFIG.json
# The weights come out of the same GGUF file, by MLX's own reader, which keeps the packing of Q4_0, Q4_1 and Q8_0.
# A line of JSON in is one run: {"prompts": [[ids]], "output": n}, of one prompt; a line out its answer, each token with its
# time in ms. Greedy, on the CPU.
import json
import sys
import time
from importlib.metadata import version

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.generate import generate_step
from mlx_lm.models import llama

mx.set_default_device(mx.cpu)
path, config_path = sys.argv[1:3]
with open(config_path) as file:
    config = json.load(file)

LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def renamed(name):
    stem, part = name.rsplit(".", 1)
    if not stem.startswith("blk."):
        return f"{TOP[stem]}.{part}" if stem in TOP else None
    _, layer, kind = stem.split(".")
    return f"model.layers.{layer}.{LAYER[kind]}.{part}"


def unpermuted(array, heads):
    """llama.cpp keeps the rows of q and k in pairs for its interleaved rotation; mlx-lm wants halves."""
    rows = array.shape[0]
    return array.reshape(heads, rows // heads // 2, 2, -1).swapaxes(1, 2).reshape(rows, -1)


args = llama.ModelArgs(**config)
weights = {}
for name, array in mx.load(path).items():
    new = renamed(name)
    if new is None:
        continue
    if ".q_proj." in new:
        array = unpermuted(array, args.num_attention_heads)
    if ".k_proj." in new:
        array = unpermuted(array, args.num_key_value_heads)
    weights[new] = array

model = llama.Model(args)


def packing(module_path, _):
    scales = weights.get(f"{module_path}.scales")
    if scales is None:
        return False
    packed = weights[f"{module_path}.weight"]
    groups = scales.shape[-1]
    return {"group_size": 32, "bits": packed.shape[-1] * 32 // (groups * 32)}


nn.quantize(model, group_size=32, bits=4, class_predicate=packing)
model.load_weights(list(weights.items()))
model.eval()
mx.eval(model.parameters())
print(json.dumps({"ready": True, "version": f"mlx {version('mlx')}, mlx-lm {version('mlx-lm')}"}), flush=True)

for line in sys.stdin:
    run = json.loads(line)
    (prompt,), output = run["prompts"], run["output"]
    start = time.perf_counter()
    ids, ms = [], []
    steps = generate_step(mx.array(prompt), model, max_tokens=output, sampler=lambda x: mx.argmax(x, axis=-1))
    for token, _ in steps:
        ids.append(int(token))
        ms.append((time.perf_counter() - start) * 1000)
    print(json.dumps({"answers": [{"ids": ids, "ms": ms}]}), flush=True)
