/** What a part was measured on, and what disturbed it. */
import { readFileSync } from "node:fs";
import { machineFacts, machineWarnings } from "#actors/supervisor/bench/environment";
import { root } from "../models.ts";

/** Of the processors' time: less than these is on every machine. */
const [STOLEN_MOST, OTHERS_MOST] = [0.02, 0.03];

export function commit(): string {
  const git = (...words: string[]) =>
    Bun.spawnSync(["git", ...words], { cwd: root })
      .stdout.toString()
      .trim();
  const changed = git("status", "--porcelain", "--untracked-files=no") !== "";
  return `${git("rev-parse", "--short", "HEAD")}${changed ? "+" : ""}`;
}

export function machine(): string {
  const { cpu, logicalCores, physicalCores = logicalCores, memoryBytes } = machineFacts();
  return `${cpu}, ${physicalCores} cores, ${(memoryBytes / 1e9).toFixed(0)} GB`;
}

/**
 * Call it before, and what it returns when all children have ended: sentences of what could have spoiled the figures. With
 * `grandchildren` nothing is said of other programs: their time is not told from that of children's children.
 */
export function watched(grandchildren: boolean): () => readonly string[] {
  const before = processorTimes();
  return () => {
    const after = processorTimes();
    const all = after.all - before.all;
    const stolen = (after.stolen - before.stolen) / all;
    const others = (after.busy - before.busy - (after.own - before.own)) / all;
    const percent = (share: number) => `${(share * 100).toFixed(0)} % of the processors' time`;
    return [
      ...(!grandchildren && others > OTHERS_MOST ? [`${percent(others)} went to other programs`] : []),
      ...(stolen > STOLEN_MOST ? [`${percent(stolen)} went to other virtual machines`] : []),
      // The load of the minutes before says less than what was counted; where nothing is counted it is all there is.
      ...machineWarnings({ ...machineFacts(), ...(Number.isNaN(all) ? {} : { loadAverage: 0 }) }),
    ];
  };
}

/** In ticks since the machine began; `own` are this process's and those of children that it has waited for. NaN: not told here. */
function processorTimes() {
  const [
    ,
    user = NaN,
    nice = NaN,
    system = NaN,
    idle = NaN,
    waiting = NaN,
    irq = NaN,
    soft = NaN,
    stolen = NaN,
  ] = numbersOf("/proc/stat", 0);
  const busy = user + nice + system + irq + soft;
  // After the name in parentheses: fields 14 to 17 of proc(5), utime, stime, cutime and cstime.
  const own = numbersOf("/proc/self/stat", 13).slice(0, 4);
  return {
    busy,
    stolen,
    all: busy + idle + waiting + stolen,
    own: own.reduce((sum, each) => sum + each, 0),
  };
}

/** The numbers of a file's first line from a place on; a program's name may hold blanks and is not counted with them. */
function numbersOf(path: string, from: number): readonly number[] {
  try {
    const [line = ""] = readFileSync(path, "utf8").split("\n");
    return line
      .replace(/\(.*\)/, "name")
      .split(/\s+/)
      .slice(from)
      .map(Number);
  } catch {
    return []; // not Linux: what the caller makes of it is NaN, which no limit is below.
  }
}
