/** Which exo already runs on this machine: found by what `exo serve` leaves in EXO_HOME, or on the usual port. */
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { CommandProblem, EXIT } from "../exit-code.ts";
import type { Config } from "../home/config.ts";
import { homeProblem } from "../home/home-problem.ts";
import type { Session } from "../session.ts";
import { type Client, clientOf } from "./client.ts";

/** What `exo serve` leaves in `EXO_HOME/run/daemon.json` while it serves. */
export interface DaemonFile {
  readonly url: string;
  readonly pid: number;
  readonly version: string;
}

/** An exo that is known to be there answers a health check within this, or it hangs: its machine may have far too much to do. */
const KNOWN_MS = 10_000;
/** Who waits for longer wants to know for what. */
const TOLD_MS = 1_000;
/** Whoever has the usual port, where no exo of this home is known: another user's exo, or another program that may say nothing at all. */
const UNKNOWN_MS = 1_000;

type Waiting = Pick<Session, "config" | "clock" | "progress">;

const fileOf = ({ home }: Config): string => join(home, "run", "daemon.json");

/** The running exo: the one that --host or EXO_HOST names, this home's, or the one on the usual port. */
export async function findDaemon(session: Session): Promise<Client | undefined> {
  const { config } = session;
  const { key } = config.api;
  if (config.host !== undefined) {
    const named = clientOf(config.host, key);
    if (await answers(session, named, `no answer yet from ${config.host}`)) return named;
    const trust = config.host.startsWith("https:")
      ? ", or trust its certificate (NODE_EXTRA_CA_CERTS=FILE)"
      : "";
    const remedy = `start one there (exo serve), or leave out --host and EXO_HOST${trust}`;
    throw new CommandProblem(EXIT.noDaemon, `no exo answers at ${config.host}`, { remedy });
  }
  const registered = await readDaemonFile(config);
  if (registered) {
    const client = clientOf(registered.url, key);
    if (await answers(session, client, silent(registered))) return client;
  }
  if (config.api.port === 0) return undefined;
  const usual = clientOf(`http://127.0.0.1:${config.api.port}`, key);
  return (await usual.isExo(UNKNOWN_MS)) ? usual : undefined;
}

/** Whoever waits for one that is slow is told so. */
async function answers({ clock, progress }: Waiting, client: Client, silence: string): Promise<boolean> {
  let isTold = false;
  const cancel = clock.after(TOLD_MS, () => {
    isTold = true;
    progress.status(`${silence}: waiting for it`);
  });
  try {
    return await client.isExo(KNOWN_MS);
  } finally {
    cancel();
    if (isTold) progress.end();
  }
}

const silent = ({ pid }: DaemonFile): string => `no answer yet from the exo that runs here (process ${pid})`;

/** As findDaemon; throws Problem (exit code 3) when there is none. */
export async function needDaemon(session: Session): Promise<Client> {
  const found = await findDaemon(session);
  if (found) return found;
  throw new CommandProblem(EXIT.noDaemon, "no exo is running on this machine", {
    remedy: "start one: exo serve",
  });
}

/** The living exo of this home; what a killed one left behind is not believed. */
export async function readDaemonFile(config: Config): Promise<DaemonFile | undefined> {
  try {
    const { url, pid, version }: DaemonFile = await Bun.file(fileOf(config)).json();
    return typeof url === "string" && typeof pid === "number" && isAlive(pid)
      ? { url, pid, version }
      : undefined;
  } catch {
    return undefined; // absent, or half a file of a process that was killed: either way nobody to talk to.
  }
}

/** Signal 0 only asks whether the process is there; another user's is there but not ours to signal. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/**
 * Registers this process; the returned function takes it back. A living other one keeps its place. Throws Problem: home
 * unwritable or full.
 */
export async function registerDaemon(session: Waiting, daemon: DaemonFile): Promise<() => Promise<void>> {
  const { config } = session;
  const other = await readDaemonFile(config);
  if (other && (await answers(session, clientOf(other.url, undefined), silent(other)))) return async () => {};
  const path = fileOf(config);
  try {
    await mkdir(join(config.home, "run"), { recursive: true, mode: 0o700 });
    const temporary = `${path}.${daemon.pid}`;
    await Bun.write(temporary, JSON.stringify(daemon), { mode: 0o600 });
    await rename(temporary, path);
  } catch (error) {
    throw homeProblem(error, `${path}, by which other commands find this exo, could not be written`);
  }
  return async () => {
    if ((await readDaemonFile(config))?.pid === daemon.pid) await rm(path, { force: true });
  };
}
