/** Mlx over mlx-c: one device, one stream, one thread. */
import { Problem } from "#protocol/problem";
import type { Dtype, Kernels, Mlx, MxArray, Packed, Quantisation } from "./array.ts";
import { MlxError, some } from "./call.ts";
import { dtypeCode, scalarBytes } from "./dtypes.ts";
import { exoFast } from "./exo-fast.ts";
import { type Fast, mlxFast, modes } from "./fast.ts";
import type { mlx_array, mlx_stream, mlx_vector_array, Native } from "./generated/symbols.ts";
import type { Library } from "./library.ts";
import { NativeArray } from "./native-array.ts";
import { Scopes } from "./scope.ts";
import { Words } from "./words.ts";

export interface MlxOptions {
  /** auto: the GPU where MLX reports one, else the CPU. */
  readonly device?: "auto" | "cpu" | "gpu";
  /** On the CPU: our own operations (the default, unless EXO_CPU_KERNELS is mlx) or MLX's. */
  readonly kernels?: Kernels;
}

/** Numbers that models use beside arrays are few; more than this many different ones are made anew each time. */
const MOST_CONSTANTS = 256;

/**
 * Opens a device. Throws MlxError when the asked-for device is not there, and Problem where the environment asks for kernels
 * that this machine does not have.
 */
export function createMlx(library: Library, { device = "auto", kernels }: MlxOptions = {}): NativeMlx {
  const { native } = library;
  checkKernels(native);
  const gpu = native.device_new_type(1, 0);
  const hasGpu = native.device_is_available(gpu);
  if (device === "gpu" && !hasGpu)
    throw new MlxError("device", [], "this library and machine offer MLX no GPU");
  const onGpu = hasGpu && device !== "cpu";
  const chosen = onGpu ? gpu : native.device_new_type(0, 0);
  native.set_default_device(chosen);
  native.device_free(gpu);
  if (chosen !== gpu) native.device_free(chosen);
  const stream = onGpu ? native.default_gpu_stream_new() : native.default_cpu_stream_new();
  const wanted = kernels ?? (native.exo_kernel_path() === "mlx" ? "mlx" : "exo");
  return new NativeMlx(native, stream, onGpu || wanted === "mlx" ? mlxFast : exoFast, onGpu ? "gpu" : "cpu");
}

/** The library says what is wrong and, on a second line, what to do. */
function checkKernels(native: Native): void {
  const [message, remedy = ""] = native.exo_kernel_problem()?.split("\n") ?? [];
  if (message === undefined) return;
  throw new Problem("invalid", message, { param: message.slice(0, message.indexOf("=")), remedy });
}

export class NativeMlx implements Mlx {
  readonly native: Native;
  readonly stream: mlx_stream;
  readonly fast: Fast;
  readonly device: "cpu" | "gpu";
  readonly words = new Words();
  readonly scopes = new Scopes<NativeArray>((value) => value instanceof NativeArray);
  private readonly constants = new Map<Dtype, Map<number, mlx_array>>();
  private constantCount = 0;

  constructor(native: Native, stream: mlx_stream, fast: Fast, device: "cpu" | "gpu") {
    this.native = native;
    this.stream = stream;
    this.fast = fast;
    this.device = device;
  }

  get kernels(): Kernels {
    return this.fast.kernels;
  }

  /** Takes over a handle that C code made (a tensor of a checkpoint): the current scope owns it. */
  adopt(handle: mlx_array): NativeArray {
    return new NativeArray(handle, this);
  }

  zeros(shape: readonly number[], dtype: Dtype): MxArray {
    return this.adopt(this.native.exo_zeros(this.words.first(shape), shape.length, dtypeCode(dtype)));
  }
  full(shape: readonly number[], value: number, dtype: Dtype): MxArray {
    const filling = this.constant(value, dtype);
    return this.adopt(
      this.native.full(this.words.first(shape), shape.length, filling, dtypeCode(dtype), this.stream),
    );
  }
  arange(start: number, stop: number, dtype: Dtype): MxArray {
    return this.adopt(this.native.arange(start, stop, 1, dtypeCode(dtype), this.stream));
  }
  fromFloat32(values: Float32Array, shape: readonly number[]): MxArray {
    return this.copied(values, shape, "float32");
  }
  fromInt32(values: Int32Array, shape: readonly number[]): MxArray {
    return this.copied(values, shape, "int32");
  }
  fromUint32(values: Uint32Array, shape: readonly number[]): MxArray {
    return this.copied(values, shape, "uint32");
  }
  scalar(value: number, dtype: Dtype): MxArray {
    return this.adopt(this.newScalar(value, dtype));
  }
  private copied(
    values: Float32Array | Int32Array | Uint32Array,
    shape: readonly number[],
    dtype: Dtype,
  ): MxArray {
    const size = shape.reduce((product, length) => product * length, 1);
    if (size !== values.length)
      throw new MlxError("from", [shape], `the shape holds ${size} values, ${values.length} were given`);
    return this.adopt(
      this.native.array_new_data(values, this.words.first(shape), shape.length, dtypeCode(dtype)),
    );
  }
  private newScalar(value: number, dtype: Dtype): mlx_array {
    const bytes = scalarBytes(value, dtype);
    if (bytes === undefined) throw new MlxError("scalar", [], `${value} cannot be a ${dtype}`);
    return this.native.array_new_data(bytes, this.words.first([]), 0, dtypeCode(dtype));
  }

  /** A number as an array, made once and shared: not counted as live, never freed. */
  constant(value: number, dtype: Dtype): mlx_array {
    let known = this.constants.get(dtype);
    if (known === undefined) {
      known = new Map();
      this.constants.set(dtype, known);
    }
    const found = known.get(value);
    if (found !== undefined && (value !== 0 || Object.is(value, 0))) return found;
    if (this.constantCount >= MOST_CONSTANTS || Object.is(value, -0))
      return this.adopt(this.newScalar(value, dtype)).handle;
    this.constantCount++;
    const made = this.newScalar(value, dtype);
    known.set(value, made);
    return made;
  }

  eval(arrays: readonly MxArray[]): void {
    const vector = this.vector(arrays as readonly NativeArray[]);
    try {
      this.native.eval(vector);
    } finally {
      this.native.vector_array_free(vector);
    }
  }
  begin(arrays: readonly MxArray[]): void {
    const vector = this.vector(arrays as readonly NativeArray[]);
    try {
      this.native.async_eval(vector);
    } finally {
      this.native.vector_array_free(vector);
    }
  }
  /** The arrays as a C vector; whoever asks frees it. */
  vector(arrays: readonly NativeArray[]): mlx_vector_array {
    for (const array of arrays) array.used();
    return this.native.vector_array_new_data(this.words.handles(arrays), arrays.length);
  }

  categorical(logits: MxArray, key: MxArray): MxArray {
    const [from, by] = [(logits as NativeArray).handle, (key as NativeArray).used()];
    return this.adopt(this.native.random_categorical(from, -1, by, this.stream));
  }
  randomKey(seed: bigint): MxArray {
    return this.adopt(this.native.random_key(BigInt.asUintN(64, seed)));
  }

  quantize(weight: MxArray, { mode, bits, groupSize }: Quantisation): Packed {
    const { native, stream } = this;
    const parts = native.quantize(
      (weight as NativeArray).handle,
      some(groupSize),
      some(bits),
      modes[mode],
      null,
      stream,
    );
    try {
      const [packed, scales] = [
        this.adopt(native.vector_array_get(parts, 0)),
        this.adopt(native.vector_array_get(parts, 1)),
      ];
      const biases = mode === "affine" ? { biases: this.adopt(native.vector_array_get(parts, 2)) } : {};
      return { mode, bits, groupSize, weight: packed, scales, ...biases };
    } finally {
      native.vector_array_free(parts);
    }
  }
  dequantize({ weight, scales, biases, groupSize, bits, mode }: Packed, dtype: Dtype): MxArray {
    const [w, s] = [(weight as NativeArray).handle, (scales as NativeArray).handle];
    const b = biases === undefined ? null : (biases as NativeArray).used();
    const [group, width, as] = [some(groupSize), some(bits), some(dtypeCode(dtype))];
    return this.adopt(this.native.dequantize(w, s, b, group, width, modes[mode], null, as, this.stream));
  }

  scope<T>(work: (keep: <A extends MxArray | readonly MxArray[]>(kept: A) => A) => T): T {
    return this.scopes.run(work);
  }
  liveHandles(): number {
    return this.scopes.live;
  }
  memory(): { readonly activeBytes: number; readonly peakBytes: number; readonly cacheBytes: number } {
    const { native } = this;
    return {
      activeBytes: native.get_active_memory(),
      peakBytes: native.get_peak_memory(),
      cacheBytes: native.get_cache_memory(),
    };
  }
  clearCache(): void {
    this.native.clear_cache();
  }
}
