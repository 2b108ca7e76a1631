/** Energy over time: what a source counts, read again and again while a run goes on. */
import type { Clock } from "#actors/runtime/clock";
import { until } from "./loads.ts";
import type { Energy } from "./sample.ts";

/** A counter of energy: RAPL, a battery, a wall meter. */
export interface EnergySource {
  /** For the report, such as `RAPL package-0`. */
  readonly name: string;
  /** Joules since some moment of its own; never falls. Throws where it can no longer be read. */
  joules(): number;
}

export interface PowerMeter {
  readonly source: string;
  /** Learns what is drawn while nothing is asked. */
  rest(ports: { readonly signal: AbortSignal }): Promise<void>;
  begin(): { end(): Energy | undefined };
}

/** Long enough for a counter that is renewed every millisecond, short beside any run. */
const REST_MS = 3_000;

export function powerMeter(source: EnergySource, clock: Clock, intervalMs: number): PowerMeter {
  let baselineWatts: number | undefined;

  function begin() {
    const startMs = clock.nowMs();
    const watts: [number, number][] = [];
    const startJoules = readOrNot(source);
    let last = { atMs: startMs, joules: startJoules };
    let cancel = () => {};
    const look = () => {
      const now = { atMs: clock.nowMs(), joules: readOrNot(source) };
      const seconds = (now.atMs - last.atMs) / 1000;
      if (now.joules !== undefined && last.joules !== undefined && seconds > 0)
        watts.push([now.atMs - startMs, (now.joules - last.joules) / seconds]);
      last = now;
    };
    const again = () => {
      cancel = clock.after(intervalMs, () => {
        look();
        again();
      });
    };
    again();
    return {
      end(): Energy | undefined {
        cancel();
        look();
        const seconds = (last.atMs - startMs) / 1000;
        if (startJoules === undefined || last.joules === undefined || seconds <= 0) return undefined;
        const baseline = baselineWatts !== undefined && { baselineWatts };
        return { joules: last.joules - startJoules, seconds, watts, ...baseline };
      },
    };
  }

  return {
    source: source.name,
    begin,
    async rest({ signal }) {
      const started = begin();
      await until(clock.nowMs() + REST_MS, { clock, signal });
      const found = started.end();
      if (found && !signal.aborted) baselineWatts = found.joules / found.seconds;
    },
  };
}

/** A counter that vanished in the middle makes the run's energy unknown, not the run useless. */
function readOrNot(source: EnergySource): number | undefined {
  try {
    return source.joules();
  } catch {
    return undefined;
  }
}
