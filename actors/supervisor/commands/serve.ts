/** `exo serve`: this machine's API in the foreground, until Ctrl-C. */
import { keepSmall, thisProcess } from "#actors/runtime/machine/footprint";
import { Problem } from "#protocol/problem";
import { readDaemonFile, registerDaemon } from "../daemon/daemon.ts";
import { freePortAfter, listenerOf } from "../daemon/port-owner.ts";
import { CommandProblem, EXIT } from "../exit-code.ts";
import { apiCertificatePath } from "../home/api-certificate.ts";
import { isOwnMachine } from "../home/api-config.ts";
import { listKeys } from "../home/key-store.ts";
import { openNode } from "../node/local-node.ts";
import { modelAt } from "../node/models.ts";
import type { Node } from "../node/node.ts";
import { printJson, type Session } from "../session.ts";

export interface ServeFlags {
  readonly model?: readonly string[];
  readonly pull: boolean;
}

export async function serve(session: Session, { model = [], pull }: ServeFlags): Promise<void> {
  const { config, build, signal, progress } = session;
  await refuseOpenDoor(session);
  const mayPull = pull && config.models.autoPull !== false;
  const node = await listen(session, pull && config.models.autoPull === true);
  const endSmall = keepSmall({ ...thisProcess, clock: session.clock, busy: node.busy });
  const unregister = await registerDaemon(session, {
    url: node.url,
    pid: process.pid,
    version: build.version,
  });
  try {
    progress.milestone(`exo ${build.version} serves ${node.url} · Ctrl-C ends it`);
    sayHowSafe(session, node.url);
    for (const name of model) await load(session, node, { name, pull: mayPull });
    if (session.json)
      printJson(session, "serve", { url: node.url, pid: process.pid, version: build.version, models: model });
    await Promise.race([ended(signal), node.over.then(giveUp)]);
    progress.milestone("ending, once the answers under way are given; again: at once");
  } finally {
    endSmall();
    await unregister();
    await node.stop();
  }
}

/** A node that cannot go on ends as a program with a bug does. */
function giveUp({ message, remedy }: Problem): never {
  throw new CommandProblem(EXIT.internal, message, remedy === undefined ? {} : { remedy });
}

/** Everyone who reaches the port could use the machine. */
async function refuseOpenDoor({ config }: Session): Promise<void> {
  const { bind, key, requireKey } = config.api;
  const isOwn = isOwnMachine(bind);
  if (key !== undefined || (isOwn && !requireKey)) return;
  if ((await listKeys(config.home)).length > 0) return;
  const message = isOwn
    ? "every request needs a key, and there is none"
    : `listening on ${bind} lets everyone in the network use this exo`;
  const remedy = isOwn
    ? "make one: exo key create NAME"
    : "make a key for those who may: exo key create NAME; or listen on this machine only: leave out --bind";
  throw new CommandProblem(EXIT.usage, message, { remedy });
}

/** What clients of the network have to trust, or what they should not. */
function sayHowSafe({ config, progress }: Session, url: string): void {
  const { bind, tls } = config.api;
  if (isOwnMachine(bind) || tls) return;
  if (url.startsWith("https:"))
    progress.milestone(
      `clients trust ${apiCertificatePath(config.home)} (curl --cacert, NODE_EXTRA_CA_CERTS)`,
    );
  else progress.milestone("without TLS everybody in the network can read keys, prompts and answers");
}

async function listen(session: Session, pull: boolean): Promise<Node> {
  const { bind, port } = session.config.api;
  try {
    return await openNode(session, { host: bind, port, pull, joins: true });
  } catch (error) {
    if (error instanceof Problem && error.param === "port") throw await portInUse(session, error);
    throw error;
  }
}

async function portInUse({ config }: Session, cause: Problem): Promise<Problem> {
  const { bind, port } = config.api;
  const other = await readDaemonFile(config);
  const isExo = other !== undefined && new URL(other.url).port === String(port);
  const owner = isExo ? `another exo (process ${other.pid})` : listenerOf(port);
  const by = owner === undefined ? "" : ` by ${owner}`;
  const use = isExo ? "use that one (exo run finds it), or choose another port" : "choose another port";
  const next = freePortAfter(bind, port);
  const any = "--port 0 for any free one";
  return new CommandProblem(EXIT.noDaemon, `port ${port} is in use${by}`, {
    remedy: `${use}: exo serve ${next === 0 ? any : `--port ${next}, or ${any}`}`,
    cause,
  });
}

async function load(
  session: Session,
  node: Node,
  { name, pull }: { name: string; pull: boolean },
): Promise<void> {
  const { progress, terminal, clock, signal } = session;
  const { reference } = await modelAt(session, name, pull);
  const startMs = clock.nowMs();
  progress.status(`loading ${name}`);
  await Promise.race([node.load(reference), ended(signal)]);
  progress.end();
  if (signal.aborted) return;
  const seconds = ((clock.nowMs() - startMs) / 1000).toFixed(1);
  progress.milestone(`${terminal.errStyle("green", "✓")} ${name} loaded in ${seconds} s`);
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
