/** A node in this process, for `exo serve` and for an `exo run` that found none running. */
import { existsSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { join, resolve } from "node:path";
import type { ServerCertificate } from "#actors/runtime/security/server-certificate";
import type { Steps } from "#actors/runtime/security/steps";
import { stepsBy } from "#actors/runtime/security/steps-child";
import { plainName } from "#protocol/node";
import { Problem } from "#protocol/problem";
import type { ClusterOptions } from "../cluster/cluster.ts";
import { madeCertificate, ownCertificate } from "../home/api-certificate.ts";
import { isOwnMachine } from "../home/api-config.ts";
import { keyBook } from "../home/key-store.ts";
import { nodeIdentity } from "../home/node-key.ts";
import { keptNames } from "../instance/idle.ts";
import type { Session } from "../session.ts";
import { showFailure } from "../terminal/failure.ts";
import { listings, modelAt } from "./models.ts";
import type { Node } from "./node.ts";
import { STEP_ROLE, WORKER_ROLE } from "./role.ts";

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Fetch models that are not here when one is asked for. */
  readonly pull: boolean;
  /** Show itself to other machines, and look for them. */
  readonly joins: boolean;
}

export async function openNode(session: Session, { host, port, pull, joins }: Listening): Promise<Node> {
  const { config, build, clock } = session;
  const { startNode } = await import("./node.ts");
  const tls = await certificateFor(session, host);
  return await startNode({
    host,
    port,
    ...(config.api.key !== undefined && { apiKey: config.api.key }),
    requireKey: config.api.requireKey,
    keys: keyBook(config.home),
    hosts: config.api.hosts,
    origins: config.api.origins,
    addresses: networkAddresses,
    ...(tls && { tls }),
    version: build.version,
    nodeName: hostname(),
    clock,
    worker: { command: ownCommand(session), env: config.childEnvironment },
    libraryFolder: () => libraryFolder(session),
    resolveModel: (name) => modelAt(session, name, pull),
    findModel: (name) => modelAt(session, name, false),
    listModels: () => listings(session),
    modelsFolder: config.models.dir,
    idle: { ...config.models.idle, kept: await keptOf(session) },
    crashed: (name, { why, cause }) => sayCrashed(session, name, cause ?? new Error(why)),
    ...config.runtime,
    ...(joins && { namespace: config.cluster.namespace, ...(await clusterOptions(session)) }),
  });
}

const keptOf = (session: Session): Promise<readonly string[]> =>
  keptNames(session.config.models.idle.kept, {
    find: (name) => modelAt(session, name, false),
    missing: (why) => session.progress.milestone(why),
  });

/** A bug, for whoever reads along; the part is started again. */
function sayCrashed({ terminal, verbose }: Session, name: string, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const bug = new Error(`${name} crashed and is started again: ${message}`);
  if (error instanceof Error && error.stack !== undefined) bug.stack = error.stack;
  showFailure(terminal, bug, { json: false, verbose });
}

/** Undefined where nobody but this machine listens along, or everybody may. Throws Problem. */
async function certificateFor(
  { config, build, clock }: Session,
  host: string,
): Promise<ServerCertificate | undefined> {
  const { tls, plainHttp, hosts } = config.api;
  const folder = (path: string) => resolve(config.folder, path);
  if (tls) return await ownCertificate({ certificate: folder(tls.certificate), key: folder(tls.key) });
  if (isOwnMachine(host) || plainHttp) return undefined;
  const label = hostname().split(".", 1)[0] ?? hostname();
  const named = hosts.map((each) => each.replace(/:\d+$/, ""));
  const names = [...new Set([hostname(), label, `${label}.local`, "localhost", ...named])];
  const addresses = networkAddresses().map((address) => address.replace(/%.*$/, ""));
  const made = { names, addresses, nowSeconds: clock.epochSeconds() };
  return await madeCertificate(config.home, made, ownSteps({ build }));
}

/** By which other machines may call this one. */
const networkAddresses = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((list = []) => list.map(({ address }) => address));

/** Nothing where the home cannot be written: whoever registers this node says so, with what to do. */
async function clusterOptions({
  config,
  build,
  progress,
}: Session): Promise<{ readonly cluster?: ClusterOptions }> {
  const { name, discoveryPort, secret, ...asked } = config.cluster;
  const identity = await nodeIdentity(config.home).catch((error: unknown) => {
    if (error instanceof Problem && (error.kind === "doesNotFit" || error.kind === "internal"))
      return undefined;
    throw error;
  });
  if (!identity) return {};
  const cluster: ClusterOptions = {
    identity,
    folder: join(config.home, "node"),
    name: plainName(name ?? "") || plainName(hostname()),
    version: build.version,
    ...asked,
    ...(discoveryPort !== undefined && { discoveryPort }),
    ...(secret !== undefined && { secret }),
    steps: ownSteps({ build }),
    troubled: (why) => progress.milestone(`other machines: ${why}`),
  };
  return { cluster };
}

/** How this very program is started again as something else. */
export function ownCommand({ build }: Pick<Session, "build">, role = WORKER_ROLE): readonly string[] {
  const main = build.sourceTree === undefined ? [] : [join(build.sourceTree, "actors/supervisor/main.ts")];
  return [process.execPath, ...main, role];
}

/** Packages that are needed once stay out of a process that runs for weeks. */
const ownSteps = (session: Pick<Session, "build">): Steps => stepsBy(ownCommand(session, STEP_ROLE));

/** Where the native library lies: unpacked from the binary, or as the source tree built it. Throws Problem. */
export async function libraryFolder(session: Session): Promise<string> {
  const { build, config, clock, progress } = session;
  if (build.library) {
    const { unpack } = await import("../home/unpack.ts");
    const unpacking = () => progress.milestone("unpacking the native library (once per version)");
    return await unpack(build.library, { home: config.home, ...clock, unpacking });
  }
  const folder = join(build.sourceTree ?? ".", ".cache/native", `${process.platform}-${process.arch}`, "lib");
  if (existsSync(folder)) return folder;
  throw new Problem("notFound", `${folder} does not exist: the native library is not built`, {
    remedy: "build it: bun mlx-c/build.ts",
  });
}
