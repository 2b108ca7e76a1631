"""Records what transformers computes in float32, as the truth for tests/parity/*.test.ts.

    pip install torch==2.15.0 transformers==5.0.0 gguf==0.19.0 accelerate numpy safetensors
    python tests/parity/record.py tiny             # logits of tiny random models, one file per architecture
    python tests/parity/record.py smollm2 FILE     # greedy answers of the real model, FILE is its GGUF

Weights of the tiny models come from a seed in the tensor's name, by the rule of tests/parity/seeded.ts, so that no
weights are committed. Their initialisation is deliberately rough: with a library's defaults (norms 1, biases 0) most
mistakes would leave the logits unchanged.
"""

import base64
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent / "recorded"
IDS = 71
POSITIONS = [0, 1, 5, 15, 16, 17, 31, 40, 55, 63, 69, 70]


def fnv1a(text):
    hashed = 0x811C9DC5
    for byte in text.encode():
        hashed = ((hashed ^ byte) * 0x01000193) & 0xFFFFFFFF
    return hashed


def mix(x):
    """The finaliser of MurmurHash3 (public domain, Austin Appleby), on uint32."""
    with np.errstate(over="ignore"):
        x = x ^ (x >> np.uint32(16))
        x = x * np.uint32(0x85EBCA6B)
        x = x ^ (x >> np.uint32(13))
        x = x * np.uint32(0xC2B2AE35)
        return x ^ (x >> np.uint32(16))


def normal(name, count):
    """About N(0, 1): the sum of four 16-bit uniforms, exact in float64 on both sides."""
    with np.errstate(over="ignore"):
        counter = np.arange(2 * count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(fnv1a(name))
    bits = mix(counter).astype(np.uint64)
    halves = (bits & 0xFFFF) + (bits >> 16)
    total = (halves[0::2] + halves[1::2]).astype(np.float64)
    return (total - 131070.0) / 65535.0 * np.sqrt(3.0)


def seeded(name, shape, rough):
    values = normal(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("norm.weight"):
        values = 1 + 0.3 * values if rough else np.ones(shape)
    elif len(shape) == 1:
        values = 0.3 * values if rough else np.zeros(shape)
    elif not rough:
        values = 0.02 * values
    elif not name.endswith("embed_tokens.weight"):
        values = 1.5 * values / np.sqrt(shape[-1])
    return values.astype(np.float32)


BASE = dict(
    vocab_size=320, hidden_size=128, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
    intermediate_size=192, rms_norm_eps=1e-5, max_position_embeddings=4096, bos_token_id=1, eos_token_id=2,
    tie_word_embeddings=False,
)


def rope(theta, **more):
    return {"rope_parameters": {"rope_theta": theta, **({"rope_type": "default"} | more)}}


LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)
LONG = dict(
    rope_type="longrope", factor=64.0, original_max_position_embeddings=64,
    short_factor=[1.0 + 0.02 * i for i in range(16)], long_factor=[1.0 + 0.3 * i for i in range(16)],
)

CASES = {
    "llama": ("Llama", dict(head_dim=32, attention_bias=True, mlp_bias=True, **rope(5e5, **LLAMA3)), True),
    "llama-tied": ("Llama", dict(head_dim=48, tie_word_embeddings=True, **rope(1e4)), True),
    "llama-naive": ("Llama", dict(head_dim=32, **rope(1e4)), False),
    "llama-linear": ("Llama", dict(head_dim=32, **rope(1e4, rope_type="linear", factor=4.0)), True),
    "llama-dynamic": ("Llama", dict(head_dim=32, max_position_embeddings=48, **rope(1e4, rope_type="dynamic", factor=2.0)), True),
    "llama-yarn": ("Llama", dict(head_dim=32, **rope(1e4, **YARN)), True),
    "llama-longrope": ("Llama", dict(head_dim=32, **rope(1e4, **LONG)), True),
    "mistral": ("Mistral", dict(head_dim=48, sliding_window=None, **rope(1e6)), True),
    "mistral-window": ("Mistral", dict(head_dim=48, sliding_window=8, **rope(1e6)), True),
    "qwen2-window": (
        "Qwen2", dict(use_sliding_window=True, sliding_window=8, max_window_layers=1, rms_norm_eps=1e-6, **rope(1e6)), True),
    "mixtral": ("Mixtral", dict(num_local_experts=4, num_experts_per_tok=2, sliding_window=None, **rope(1e6)), True),
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True, rms_norm_eps=1e-6, **rope(1e6)), True),
    "qwen3": ("Qwen3", dict(head_dim=48, rms_norm_eps=1e-6, **rope(1e6)), True),
    "qwen3-moe": (
        "Qwen3Moe",
        dict(head_dim=48, num_experts=8, num_experts_per_tok=3, moe_intermediate_size=64, mlp_only_layers=[1],
             norm_topk_prob=True, decoder_sparse_step=1, rms_norm_eps=1e-6, **rope(1e6)),
        True,
    ),
}


def record_tiny():
    (HERE / "tiny").mkdir(parents=True, exist_ok=True)
    ids = [1] + [3 + int(x) % 317 for x in mix(np.arange(IDS - 1, dtype=np.uint32) + np.uint32(77))]
    for case, (family, overrides, rough) in CASES.items():
        config = getattr(transformers, f"{family}Config")(**(BASE | overrides))
        config.dtype = "float32"
        model_class = getattr(transformers, f"{family}ForCausalLM")
        with tempfile.TemporaryDirectory() as folder:
            model_class(config).save_pretrained(folder)
            path = pathlib.Path(folder) / "model.safetensors"
            with safe_open(path, "np") as file:
                shapes = {name: list(file.get_slice(name).get_shape()) for name in sorted(file.keys())}
            save_file({name: seeded(name, shape, rough) for name, shape in shapes.items()}, path, {"format": "pt"})
            model = model_class.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
            saved_config = json.loads((pathlib.Path(folder) / "config.json").read_text())
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].numpy()
        write(f"tiny/{case}", {
            "versions": versions(), "rough": rough, "config": saved_config, "shapes": shapes, "ids": ids,
            "positions": POSITIONS, "standardDeviation": float(logits.std()),
            "logits": base64.b64encode(np.ascontiguousarray(logits[POSITIONS]).tobytes()).decode(),
        })
        print(case, "std", logits.std(), "tensors", len(shapes))


QUESTIONS = [
    "What is the capital of France?", "Write one sentence about the sea.", "What is 2 + 2?",
    "Name three colours.", "Translate 'good morning' into Spanish.", "Who wrote Romeo and Juliet?",
    "Explain what a computer is in one sentence.", "List two fruits that are red.",
    "What do bees make?", "Give me a short poem about winter.", "What is the largest planet?",
    "Why is the sky blue?",
]


def record_smollm2(gguf):
    gguf = pathlib.Path(gguf)
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32).eval()
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    answers = []
    for question in QUESTIONS:
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=True, return_dict=False)
        ids, margins, cache = [], [], None
        step = torch.tensor([prompt])
        for _ in range(40):
            with torch.no_grad():
                out = model(step, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            best = torch.topk(out.logits[0, -1], 2)
            ids.append(int(best.indices[0]))
            margins.append(round(float(best.values[0] - best.values[1]), 5))
            if ids[-1] == end:
                break
            step = torch.tensor([[ids[-1]]])
        answers.append({"question": question, "prompt": prompt, "ids": ids, "margins": margins,
                        "text": tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)})
        print(repr(answers[-1]["text"]), min(margins))
    write("smollm2", {"versions": versions(), "file": gguf.name, "answers": answers})


def versions():
    return {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "numpy": np.__version__}


def write(name, value):
    (HERE / f"{name}.json").write_text(json.dumps(value) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    record_tiny() if sys.argv[1] == "tiny" else record_smollm2(sys.argv[2])
