/** What `bun run kills` kills: one machine with a model, or several that hold it together. */
import { compiled, fromSource } from "../cli/exo.ts";
import { type Held, heldAt, type Server, serving } from "../e2e/product.ts";
import { readied } from "./killed-model.ts";
import { type Machine, members, type Running, started } from "./processes.ts";
import { linked } from "./streams.ts";

/** A worker or a machine that is about to die. */
export interface Victim {
  readonly what: "worker" | "machine";
  /** False where it was gone already. */
  kill(): boolean;
}

export interface KilledHome extends AsyncDisposable {
  /** An API that lives on, and what is to die at some token of what it is asked. */
  next(random: () => number): Promise<Next>;
  /** All that was killed is up again, and holds the model again. */
  mend(): Promise<Mended>;
}

export interface Next {
  readonly url: string;
  readonly victim: Victim;
  /** What its machines held where one of them lacked its part, though nothing was killed since it was whole: it was mended again. */
  readonly broken: readonly string[];
}

export interface Mended {
  /** What the last load took. */
  readonly loadMs: number;
  /** How often the home was asked again for the model, as it could not place it yet. */
  readonly tries: number;
}

/** A worker that another epoch ended meanwhile cannot be killed any more. */
const worker = (pid: number): Victim => ({
  what: "worker",
  kill() {
    try {
      return process.kill(pid, "SIGKILL");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
      throw error;
    }
  },
});

/** The compiled binary on one machine. */
export async function oneMachine(folder: string, model: string): Promise<KilledHome> {
  readied(model, folder);
  const server: Server = await serving(folder, ["--model", model]);
  const held = async () => {
    const [first] = await server.held();
    if (!first) throw new Error("the model is not held");
    return first;
  };
  return {
    next: async () => ({ url: server.url, victim: worker((await held()).pid), broken: [] }),
    mend: async () => ({ loadMs: (await held()).facts?.loadMs ?? 0, tries: 0 }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** The programme runs for long, beside whatever else a machine does. */
const LINKED_MS = 180_000;
/** A machine that is busy counts as dead for a while, and comes back; not time after time. */
const BROKEN_MAX = 5;
/** Between looks at a model that lacks a part: an idle machine answers each within milliseconds, and a home needs a second to see what it lost. */
const BROKEN_LOOK_MS = 1500;
/** A machine dies in one round of four; it takes long to start it again. */
const MACHINE_SHARE = 0.25;
const NAMES = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];

interface Several {
  readonly count: number;
  readonly model: string;
  /** Without a build. */
  readonly isSource: boolean;
  /** What was killed is mended by a placement of its own, so that no death counts with the ones before it. */
  readonly isFresh: boolean;
}

export async function severalMachines(
  folder: string,
  { count, model, isSource, isFresh }: Several,
): Promise<KilledHome> {
  const machines = await members(folder, NAMES.slice(0, count), []);
  for (const machine of machines) readied(model, machine.folder);
  const heldBy = async (url: string): Promise<readonly Held[]> =>
    (await heldAt(url)).filter((each) => each.model === model);
  const start = (machine: Machine) => started(machine, { command: isSource ? fromSource : compiled });
  const running: Running[] = await Promise.all(machines.map(start));
  /** Which of them was killed in this round. */
  let dead: number | undefined;

  async function mended(isAnew: boolean): Promise<Mended> {
    const machine = dead === undefined ? undefined : machines[dead];
    if (machine && dead !== undefined) running[dead] = await start(machine);
    dead = undefined;
    await linked(running, LINKED_MS);
    const url = running[0]?.url ?? "";
    const [placed] = await heldBy(url);
    if (placed && (isAnew || placed.stages?.length !== count)) await order(url, "/exo/v1/stop", { model });
    const everywhere = { model, nodes: machines.map(({ name }) => name) };
    const tries = await order(url, "/exo/v1/load", everywhere, KNOWN_TRIES);
    return { loadMs: (await heldBy(url))[0]?.facts?.loadMs ?? 0, tries };
  }

  /** Of each machine the worker of its part; what was found where one had none. Throws where it breaks again and again. */
  async function parts() {
    const broken: string[] = [];
    for (;;) {
      const held = await Promise.all(running.map(async ({ url }) => (await heldBy(url))[0]));
      const pids = held.flatMap((part) => (part?.state === "ready" && part.pid ? [part.pid] : []));
      if (pids.length === count) return { pids, broken };
      broken.push(JSON.stringify(held.map((part, i) => ({ of: machines[i]?.name, ...part }))));
      if (broken.length === BROKEN_MAX)
        throw new Error(`the model does not stay whole: ${broken.join("; ")}`);
      await Bun.sleep(BROKEN_LOOK_MS);
      await mended(false);
    }
  }

  const end = async () => {
    await Promise.all(running.map((each) => each.kill("SIGKILL")));
  };
  try {
    await mended(false);
  } catch (error) {
    await end();
    throw error;
  }
  return {
    mend: () => mended(isFresh),
    async next(random) {
      const { pids, broken } = await parts();
      const asked = Math.floor(random() * count);
      const url = running[asked]?.url ?? "";
      if (random() < MACHINE_SHARE) {
        const other = (asked + 1 + Math.floor(random() * (count - 1))) % count;
        const kill = () => {
          dead = other;
          void running[other]?.kill("SIGKILL");
          return true;
        };
        return { url, victim: { what: "machine", kill }, broken };
      }
      return { url, victim: worker(pids[Math.floor(random() * count)] ?? 0), broken };
    },
    [Symbol.asyncDispose]: end,
  };
}

/** A machine that was seen just now has not said yet what it can do, and the home may have no leader for a moment: asked again each second, which a busy machine may need long for. */
const KNOWN_TRIES = 120;

/** Answers how often it had to be asked again. */
async function order(url: string, path: string, body: object, tries = 1): Promise<number> {
  const answer = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body) });
  const said = await answer.text();
  if (answer.ok) return 0;
  if (tries <= 1 || !/no_capacity|"unavailable"/.test(said)) throw new Error(`${path}: ${said}`);
  await Bun.sleep(1000);
  return 1 + (await order(url, path, body, tries - 1));
}
