/** `exo doctor`: looks at what exo needs of this machine; each line says what to do. */
import { accessSync, constants, existsSync, mkdirSync, statfsSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { join } from "node:path";
import { problemBody } from "#protocol/problem";
import { findDaemon } from "../daemon/daemon.ts";
import { isFree, listenerOf } from "../daemon/port-owner.ts";
import { CommandProblem, EXIT } from "../exit-code.ts";
import { libraryFolder } from "../node/local-node.ts";
import { storedModels } from "../node/models.ts";
import { printJson, type Session } from "../session.ts";
import { shownBytes } from "../terminal/table.ts";

interface Finding {
  readonly name: string;
  readonly state: "ok" | "warning" | "failed";
  readonly detail: string;
  readonly remedy?: string;
}

type Check = (session: Session) => Promise<Omit<Finding, "name">> | Omit<Finding, "name">;

export interface DoctorFlags {
  readonly online?: boolean;
}

/** Throws CommandProblem (exit code 9) when a check failed; warnings do not. */
export async function doctor(session: Session, { online }: DoctorFlags): Promise<void> {
  const { terminal, json } = session;
  const findings: Finding[] = [];
  for (const [name, check] of Object.entries({ ...CHECKS, ...(online && { hub }) })) {
    const finding = { name, ...(await checked(check, session)) };
    findings.push(finding);
    if (!json) terminal.out(shown(session, finding));
  }
  if (json) printJson(session, "doctor", { checks: findings });
  const failed = findings.filter(({ state }) => state === "failed");
  if (failed.length === 0) return;
  const names = failed.map(({ name }) => name).join(", ");
  if (json) throw new Reported(EXIT.checkFailed, `failed: ${names}`);
  throw new CommandProblem(EXIT.checkFailed, `failed: ${names}`, {
    remedy: "the lines above say what to do",
  });
}

/** Fails with an exit code only: the answer has been printed. */
export class Reported extends CommandProblem {}

async function checked(check: Check, session: Session): Promise<Omit<Finding, "name">> {
  try {
    return await check(session);
  } catch (error) {
    const { message, remedy } = problemBody(error);
    return { state: "failed", detail: message, ...(remedy !== undefined && { remedy }) };
  }
}

function shown({ terminal }: Session, { name, state, detail, remedy }: Finding): string {
  const { outStyle: style } = terminal;
  const mark = { ok: style("green", "✓"), warning: style("yellow", "!"), failed: style("red", "✗") }[state];
  const todo = remedy === undefined ? "" : `  ${style("cyan", "→")} ${remedy}\n`;
  return `${mark} ${name}: ${detail}\n${todo}`;
}

const CHECKS: Readonly<Record<string, Check>> = { program, home, library, memory, disk, port, models };

/** The library is opened by a child: a broken one may end its process. */
const LIBRARY_MS = 20_000;
/** Below this no model that is worth running fits. */
const MEMORY_LEAST = 1e9;
const DISK_LEAST = 2e9;
const HUB_MS = 10_000;

function program({ build }: Session): Omit<Finding, "name"> {
  const detail = `exo ${build.version} (${build.commit}), Bun ${Bun.version}, ${process.platform}-${process.arch}`;
  return { state: "ok", detail };
}

function home({ config }: Session): Omit<Finding, "name"> {
  try {
    mkdirSync(config.home, { recursive: true, mode: 0o700 });
    accessSync(config.home, constants.W_OK);
    return { state: "ok", detail: config.home };
  } catch (error) {
    const detail = `${config.home} cannot be written: ${error instanceof Error ? error.message : String(error)}`;
    return {
      state: "failed",
      detail,
      remedy: "make it writable for you, or set EXO_HOME to a folder that is",
    };
  }
}

async function library(session: Session): Promise<Omit<Finding, "name">> {
  const folder = await libraryFolder(session);
  const name = process.platform === "darwin" ? "libexo.dylib" : "libexo.so";
  const path = join(folder, name);
  const script = `import { dlopen } from "bun:ffi"; dlopen(process.argv.at(-1), { exo_last_error: { args: [], returns: "ptr" } });`;
  const child = Bun.spawn([process.execPath, "-e", script, path], {
    env: { ...session.config.childEnvironment, BUN_BE_BUN: "1" },
    stdout: "ignore",
    stderr: "pipe",
    timeout: LIBRARY_MS,
  });
  const words = await new Response(child.stderr).text();
  if ((await child.exited) === 0) return { state: "ok", detail: folder };
  const why =
    /error: (.*)/i.exec(words)?.[1] ?? words.trim().split("\n").at(-1) ?? `ended by ${child.signalCode}`;
  const remedy = "install what is missing, see that the disk is not mounted noexec, or fetch exo again";
  return { state: "failed", detail: `${path} does not load: ${why}`, remedy };
}

function memory(): Omit<Finding, "name"> {
  const [free, total] = [freemem(), totalmem()];
  const detail = `${shownBytes(free)} free of ${shownBytes(total)}`;
  if (free >= MEMORY_LEAST) return { state: "ok", detail };
  return { state: "warning", detail, remedy: "close programs, or unload models: exo stop --all" };
}

function disk({ config }: Session): Omit<Finding, "name"> {
  const folder = existsSync(config.models.dir) ? config.models.dir : config.home;
  const { bavail, bsize } = statfsSync(folder);
  const detail = `${shownBytes(bavail * bsize)} free for models (${folder})`;
  if (bavail * bsize >= DISK_LEAST) return { state: "ok", detail };
  return {
    state: "warning",
    detail,
    remedy: "free some space (exo rm MODEL), or set EXO_MODELS to another disk",
  };
}

async function port(session: Session): Promise<Omit<Finding, "name">> {
  const daemon = await findDaemon(session).catch(() => undefined);
  if (daemon) return { state: "ok", detail: `an exo serves ${daemon.url}` };
  const { port, bind } = session.config.api;
  if (isFree(bind, port)) return { state: "ok", detail: `${port} is free` };
  const owner = listenerOf(port);
  const detail = `${port} is taken${owner === undefined ? "" : ` by ${owner}`}`;
  return { state: "warning", detail, remedy: "choose another: exo serve --port 0, or set EXO_PORT" };
}

async function models(session: Session): Promise<Omit<Finding, "name">> {
  const stored = await storedModels(session);
  if (stored.length === 0)
    return { state: "warning", detail: "none on this machine", remedy: "fetch one: exo pull smollm2" };
  const bytes = stored.reduce((sum, model) => sum + model.bytes, 0);
  return { state: "ok", detail: `${stored.length}, ${shownBytes(bytes)}` };
}

async function hub({ config, signal }: Session): Promise<Omit<Finding, "name">> {
  const { endpoint } = config.hub;
  try {
    const response = await fetch(endpoint, {
      method: "HEAD",
      signal: AbortSignal.any([signal, AbortSignal.timeout(HUB_MS)]),
    });
    return { state: "ok", detail: `${endpoint} answers (${response.status})` };
  } catch (error) {
    const detail = `${endpoint} does not answer: ${error instanceof Error ? error.message : String(error)}`;
    return { state: "failed", detail, remedy: "see the network and HTTPS_PROXY, or set HF_ENDPOINT" };
  }
}
