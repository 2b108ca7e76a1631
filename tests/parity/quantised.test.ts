/** A packed checkpoint computes what its own unpacked values compute, on both sets of products. */
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { buildModel } from "#actors/shard-worker/models/registry";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import type { MxArray, Packed, Quantisation } from "#ffi/array";
import { builtLibrary } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import { createMlx, type NativeMlx } from "#ffi/native";
import { affine, floats } from "#ffi/plain-arrays";
import { bytesOf, type TensorToWrite, temporaryFolder } from "../weights/safetensors-writer.ts";
import { seeded, writeTensors } from "./seeded.ts";

const library = builtLibrary();
const mlx = {
  exo: createMlx(library, { device: "cpu" }),
  mlx: createMlx(library, { device: "cpu", kernels: "mlx" }),
};
const { config, shapes, ids } = await Bun.file(`${import.meta.dir}/recorded/tiny/llama.json`).json();
const { num_hidden_layers: layers } = config as { num_hidden_layers: number };

/**
 * Furthest logit from the reference, in deviations of all. Our products with many rows round x to 16 bits beside most packed weights
 * where AVX-512 VNNI multiplies integers (see exo_quantized_linear): 2e-5 a product becomes up to 8e-4 in the worst logit.
 */
const FLOATS = 1e-4;
const INTEGERS = 1.5e-3;
const boundOf = (kernels: string, { mode }: Quantisation): number => {
  const integers = kernels === "exo" && library.native.exo_kernel_path() === "avx512";
  return integers && (mode === "affine" || mode === "mxfp4") ? INTEGERS : FLOATS;
};
/** One module is packed another way, by an entry without a mode, which means affine. */
const OVERRIDE = "model.layers.1.self_attn.v_proj";
const override: Quantisation = { mode: "affine", bits: 8, groupSize: 64 };

/** Bytes of an evaluated array as a safetensors file holds them. */
function stored(array: MxArray): TensorToWrite {
  const { shape, dtype } = array;
  if (dtype === "float32") return { dtype: "F32", shape, data: bytesOf(array.toFloat32()) };
  if (dtype === "uint32") return { dtype: "U32", shape, data: bytesOf(array.toInt32()) };
  return { dtype: "U8", shape, data: Uint8Array.from(array.toInt32()) };
}

const spelled = ({ mode, bits, groupSize }: Quantisation) => ({ group_size: groupSize, bits, mode });

/** The folder's two checkpoints: packed as `how`, and the same values unpacked. */
function write(folder: string, how: Quantisation): void {
  const packed: Record<string, TensorToWrite> = {};
  const unpacked: Record<string, TensorToWrite> = {};
  const { exo } = mlx;
  for (const [name, shape] of Object.entries(shapes as Record<string, number[]>)) {
    exo.scope(() => {
      const dense = exo.fromFloat32(seeded(name, shape, true), shape);
      const path = name.replace(/\.weight$/, "");
      const isPacked =
        shape.length === 2 && (shape[1] ?? 0) % how.groupSize === 0 && (shape[1] ?? 0) % 64 === 0;
      if (!isPacked) {
        packed[name] = unpacked[name] = stored(dense);
        return;
      }
      const parts: Packed = exo.quantize(dense, path === OVERRIDE ? override : how);
      packed[name] = stored(parts.weight);
      packed[`${path}.scales`] = stored(parts.scales);
      if (parts.biases) packed[`${path}.biases`] = stored(parts.biases);
      unpacked[name] = stored(exo.dequantize(parts, "float32"));
    });
  }
  const { mode: _, ...unnamed } = spelled(override);
  const quantization = { ...spelled(how), [OVERRIDE]: unnamed };
  writeTensors(join(folder, "packed"), packed, { ...config, quantization });
  writeTensors(join(folder, "unpacked"), unpacked, config);
}

function logitsOf(folder: string, on: NativeMlx, kernels: string): Float32Array {
  const { source, config: read } = openCheckpoint(folder, on);
  const model = buildModel(read, weightsOf(source, on, { dtype: "float32" }));
  expect(model.layers, kernels).toBe(layers);
  return on.scope(() => {
    const input = on.fromInt32(Int32Array.from(ids), [1, ids.length]);
    return model.forward(input, model.caches(), "all").toFloat32();
  });
}

test.each([...affine, ...floats])("$mode $bits bits, groups of $groupSize: packed equals unpacked", (how) => {
  const folder = temporaryFolder();
  try {
    write(folder, how);
    const wanted = logitsOf(join(folder, "unpacked"), mlx.mlx, "reference");
    const deviation = Math.sqrt(wanted.reduce((sum, value) => sum + value * value, 0) / wanted.length);
    const far = Object.entries(mlx).map(([kernels, on]) => {
      const got = logitsOf(join(folder, "packed"), on, kernels);
      const most = got.reduce(
        (max, value, i) => Math.max(max, Math.abs(value - (wanted[i] ?? Number.NaN))),
        0,
      );
      return [kernels, most / deviation <= boundOf(kernels, how) ? "near" : most / deviation];
    });
    expect(far).toEqual([
      ["exo", "near"],
      ["mlx", "near"],
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
