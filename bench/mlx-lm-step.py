# Host time of building one decode step with mlx-lm, to be set against bench/ffi.ts in the same minute on the same machine:
#   pip install "mlx[cpu]==0.32.2" mlx-lm && python bench/mlx-lm-step.py
# Nothing is evaluated; same shape and packing as bench/ffi.ts.
import time

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models import llama
from mlx_lm.models.cache import make_prompt_cache

mx.set_default_device(mx.cpu)
model = llama.Model(
    llama.ModelArgs(
        model_type="llama",
        hidden_size=576,
        num_hidden_layers=30,
        intermediate_size=1536,
        num_attention_heads=9,
        num_key_value_heads=3,
        rms_norm_eps=1e-5,
        vocab_size=49152,
        rope_theta=100000,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
)
nn.quantize(model, group_size=32, bits=4)
mx.eval(model.parameters())
caches = make_prompt_cache(model)
token = mx.array([[1]])


def step():
    logits = model(token, cache=caches)[:, -1, :]
    for cache in caches:
        cache.trim(1)
    return logits


samples = []
for _ in range(350):
    start = time.perf_counter_ns()
    step()
    samples.append(time.perf_counter_ns() - start)
samples = sorted(samples[50:])  # The first ones fill caches.
print(f"mlx-lm, decode step built only: median {samples[150]} ns, least {samples[0]} ns")
