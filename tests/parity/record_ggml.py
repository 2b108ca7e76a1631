"""Records what ggml's block types decode to, for tests/weights/ggml.test.ts.

Made with gguf 0.19.0 and numpy 2.4.6:  python3 record_ggml.py > ggml-blocks.json
Each type: random blocks (their half-precision scales kept finite and small), and the float32 values that the package's
own `dequantize` gives for them. Both are base64 of little-endian bytes.
"""

import base64
import json
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

BLOCKS = {32: 8, 256: 2}
# Where each type's half-precision numbers stand, in bytes from the start of a block.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
    T.IQ2_XXS: [0], T.IQ2_XS: [0], T.IQ2_S: [0], T.IQ3_XXS: [0], T.IQ3_S: [0], T.IQ1_S: [0], T.IQ1_M: [],
    T.IQ4_NL: [0], T.IQ4_XS: [0], T.TQ1_0: [52], T.TQ2_0: [64], T.MXFP4: [],
}  # fmt: skip


def blocks(kind: T, random: np.random.Generator) -> np.ndarray:
    values, size = GGML_QUANT_SIZES[kind]
    count = BLOCKS[values]
    data = random.integers(0, 256, (count, size), dtype=np.uint8)
    for at in HALVES[kind]:
        scale = random.uniform(-0.1, 0.1, count).astype(np.float16)
        data[:, at : at + 2] = scale.view(np.uint8).reshape(count, 2)
    if kind == T.MXFP4:
        data[:, 0] = random.integers(110, 135, count)
    if kind == T.IQ1_M:
        # The scale's four nibbles are the tops of four words.
        scale = random.uniform(-0.1, 0.1, count).astype(np.float16).view(np.uint16)
        for i in range(4):
            data[:, 49 + 2 * i] = (data[:, 49 + 2 * i] & 15) | ((scale >> (4 * i)) & 15) << 4
    if kind == T.TQ1_0:
        # Only bytes that a writer can make: five digits of base 3, or four, as a fraction of 256, rounded up.
        digits = lambda shape, top: ((random.integers(0, top, shape) * (243 // top) * 256 + 242) // 243).astype(np.uint8)
        data[:, :48], data[:, 48:52] = digits((count, 48), 243), digits((count, 4), 81)
    if kind == T.TQ2_0:
        data[:, :64] = sum(random.integers(0, 3, (count, 64)) << (2 * i) for i in range(4)).astype(np.uint8)
    return data


def main() -> None:
    random = np.random.default_rng(20260901)
    text = lambda array: base64.b64encode(array.tobytes()).decode()
    recorded = {}
    for kind in HALVES:
        data = blocks(kind, random)
        values = dequantize(data, kind).astype(np.float32)
        recorded[kind.name] = {"type": int(kind), "blocks": text(data), "values": text(values)}
    json.dump(recorded, sys.stdout, indent=1)
    print()


main()
