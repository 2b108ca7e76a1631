/** What the bindings were generated from. A library that reports anything else is refused: its functions may differ. */
export const pins = { abi: 1, mlx: "0.32.2", mlxC: "0.7.0" } as const;
