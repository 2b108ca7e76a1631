/** The environment's words about the kernels, which the worker's library reads itself: looked at here before anything loads. */
import { Problem } from "#protocol/problem";

/** As in mlx-c/shim/settings.cpp. */
const THREADS_MAX = 256;
/** Of every machine; the library knows which of them this one has. */
const KERNELS = ["avx512", "avx512f", "avxvnni", "avx2", "neon", "neonf", "portable", "mlx"];

/** Throws Problem `invalid` where EXO_THREADS or EXO_CPU_KERNELS is no such setting. An empty one counts as unset. */
export function checkKernelSettings(env: Readonly<Record<string, string | undefined>>): void {
  const { EXO_THREADS: threads = "", EXO_CPU_KERNELS: kernels = "" } = env;
  if (
    threads !== "" &&
    !(/^\d{1,3}$/.test(threads) && Number(threads) >= 1 && Number(threads) <= THREADS_MAX)
  )
    throw new Problem("invalid", `EXO_THREADS=${threads} is not a number of threads`, {
      param: "EXO_THREADS",
      remedy: `use a whole number from 1 to ${THREADS_MAX}, or leave it unset: then it is one for each core`,
    });
  if (kernels !== "" && !KERNELS.includes(kernels))
    throw new Problem("invalid", `EXO_CPU_KERNELS=${kernels} is no set of kernels`, {
      param: "EXO_CPU_KERNELS",
      remedy: `use one of ${KERNELS.join(", ")} that this machine has, or leave it unset for the best`,
    });
}
