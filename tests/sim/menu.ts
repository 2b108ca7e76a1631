/** What may go wrong in one run, drawn by its seed: some runs have little of much, others much of little. */

export interface Menu {
  /** Per second, unless it says otherwise. */
  readonly turns: number;
  readonly calm: number;
  readonly lossMax: number;
  readonly delayMaxMs: number;
  readonly doubled: number;
  readonly replays: number;
  readonly troubles: number;
  readonly heals: number;
  readonly kills: number;
  /** That a machine which is down comes back. */
  readonly restarts: number;
  readonly jumps: number;
  readonly wipes: number;
  /** That a machine which runs is forgotten. */
  readonly forgets: number;
  readonly garbage: number;
  /** Of each tenth of a second. */
  readonly asks: number;
  readonly overloads: number;
  /** Machines of the next version. */
  readonly newer: number;
  readonly hasFiles: boolean;
}

export function drawMenu(random: () => number): Menu {
  const upTo = (most: number) => (random() < 0.35 ? 0 : random() * most);
  const between = (least: number, most: number) => least + random() * (most - least);
  return {
    turns: between(0.05, 0.5),
    calm: between(0.2, 0.8),
    lossMax: between(0.05, 0.3),
    delayMaxMs: between(5, 60),
    doubled: upTo(0.5),
    replays: upTo(0.5),
    troubles: upTo(0.3),
    heals: between(0.05, 0.3),
    kills: upTo(0.12),
    restarts: between(0.03, 0.8),
    jumps: upTo(0.08),
    wipes: upTo(0.03),
    forgets: upTo(0.03),
    garbage: random() < 0.7 ? 0 : random() * 0.5,
    asks: between(0.05, 0.3),
    overloads: upTo(0.02),
    newer: upTo(0.5),
    hasFiles: random() < 0.3,
  };
}
