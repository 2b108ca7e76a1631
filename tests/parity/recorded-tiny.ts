/** The recorded tiny models, one of every architecture: what transformers computed of them, and their weights in a folder. */
import { rmSync } from "node:fs";
import type { Model } from "#actors/shard-worker/models/model";
import { buildModel } from "#actors/shard-worker/models/registry";
import { type Checkpoint, openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { weightsOf } from "#ffi/cursor";
import type { NativeMlx } from "#ffi/native";
import type { LayerRange } from "#protocol/shard";
import { writeCheckpoint } from "./seeded.ts";

const folder = `${import.meta.dir}/recorded/tiny`;

export interface Recorded {
  readonly rough: boolean;
  readonly config: object;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly ids: readonly number[];
  readonly positions: readonly number[];
  readonly standardDeviation: number;
  readonly logits: string;
}

export const cases: readonly string[] = [...new Bun.Glob("*.json").scanSync(folder)]
  .map((file) => file.replace(".json", ""))
  .sort();

export const recorded = (name: string): Promise<Recorded> => Bun.file(`${folder}/${name}.json`).json();

/** What `load` makes of the model's layers, all of them where not said. */
export interface Tiny {
  readonly model: Model;
  readonly checkpoint: Checkpoint;
}

/** Hands a recorded model to `work`; its folder is there as long as that runs. */
export async function withTiny<T>(
  name: string,
  mlx: NativeMlx,
  work: (load: (range?: LayerRange) => Tiny, ids: readonly number[]) => T,
): Promise<T> {
  return await withWeights(await recorded(name), mlx, work);
}

/** As `withTiny`, for a model that was not recorded itself. */
export function withWeights<T>(
  { config, shapes, rough, ids }: Pick<Recorded, "config" | "shapes" | "rough" | "ids">,
  mlx: NativeMlx,
  work: (load: (range?: LayerRange) => Tiny, ids: readonly number[]) => T,
): T {
  const written = writeCheckpoint(config, shapes, rough);
  try {
    return work((range) => {
      const checkpoint = openCheckpoint(written, mlx);
      const model = buildModel(
        checkpoint.config,
        weightsOf(checkpoint.source, mlx, { dtype: "float32" }),
        range,
      );
      checkpoint.close();
      return { model, checkpoint };
    }, ids);
  } finally {
    rmSync(written, { recursive: true });
  }
}

/** A recorded model where each head has keys of its own. */
export async function ungrouped(name: string): Promise<Recorded> {
  const given = await recorded(name);
  const config = { ...given.config, num_key_value_heads: undefined };
  const shapes = Object.entries(given.shapes).map(([tensor, shape]): [string, readonly number[]] => {
    const queries = tensor.replace(/[kv]_proj/, "q_proj");
    return [tensor, given.shapes[queries] ?? shape];
  });
  return { ...given, config, shapes: Object.fromEntries(shapes) };
}
