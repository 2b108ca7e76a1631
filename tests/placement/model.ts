/** A model of four layers, as machines tell of it, and what they tell of themselves. */
import type { NodeId } from "#protocol/ids";
import type { ModelShape } from "#protocol/model-shape";
import { type NodeFacts, PLACEMENTS } from "#protocol/node";
import type { CheckpointView, PlacedInstance } from "#protocol/placement";
import type { MeasuredSpeeds } from "#protocol/speeds";

export const MODEL = "m";
/** Bytes of one layer of the model. */
const LAYER = 100e6;

/** Four layers. */
const shape: ModelShape = {
  architecture: "llama",
  layers: Array.from({ length: 4 }, () => ({ bytes: LAYER, wholeBytes: 1e3, flops: 2 * LAYER })),
  embeddingBytes: 1e6,
  headBytes: 1e6,
  tied: false,
  hidden: 64,
  feedForward: 128,
  heads: 2,
  kvHeads: 1,
  headDims: 32,
  vocabulary: 512,
  contextLength: 512,
  divisions: [],
};

export const checkpoint: CheckpointView = {
  model: MODEL,
  digest: "same",
  parts: { config: "c", tensors: "t", tokenizer: "k" },
  quantisation: "float32",
  weightBytes: 4 * LAYER,
  shape,
};

export const facts = {
  architecture: "llama",
  quantisation: "float32",
  layers: 4,
  contextLength: 512,
  vocabularySize: 512,
  weightBytes: 4 * LAYER,
  loadMs: 1,
};

/** What a machine measures that reads so many bytes of that model in a second. */
export const speeds = (bytesPerSecond: number): MeasuredSpeeds => ({
  ...{ architecture: "llama", quantisation: "float32", layerBytes: LAYER, bytesPerSecond },
  ...{ flopsPerSecond: 1e12, layerMs: 0.03, stepMs: 0.2, together: [] },
});

export const nodeFacts = (name: string, freeBytes: number): NodeFacts => ({
  name,
  version: "1",
  os: "linux",
  arch: "x64",
  chip: "cpu",
  cores: 2,
  memoryBytes: 8e9,
  freeBytes,
  accelerators: [],
  interfaces: [],
  rdma: "none",
  placements: [...PLACEMENTS],
});

/** Two machines, the first of which looks at the home. */
export const [me, other] = ["me" as NodeId, "other" as NodeId];

/** `me` has the first half, `other` the rest, in epoch 1. */
export function placed(change: Partial<PlacedInstance> = {}): PlacedInstance {
  return {
    id: "i",
    model: MODEL,
    digest: "d",
    wish: {},
    settings: { kvQuant: "f16" },
    epoch: 1,
    state: "loading",
    stages: [
      { node: me, layers: { start: 0, end: 2 } },
      { node: other, layers: { start: 2, end: 4 } },
    ],
    ...change,
  };
}
