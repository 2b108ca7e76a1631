/** The target of a benchmark, made ready: a server that the user names, an exo that runs, or a node of this process. */
import { Problem } from "#protocol/problem";
import type { Client } from "../daemon/client.ts";
import { findDaemon } from "../daemon/daemon.ts";
import { openModel } from "../daemon/open-model.ts";
import type { Session } from "../session.ts";
import type { BenchConfig, ModelChoice } from "./bench-config.ts";
import { engineWire } from "./dialects/engine.ts";
import type { OpenTarget } from "./run-bench.ts";
import { httpWire } from "./wire.ts";

/** Throws Problem. */
export async function openTarget(
  session: Session,
  { target }: BenchConfig,
  { model, pull }: { model: ModelChoice; pull: boolean },
): Promise<OpenTarget> {
  if (target.url !== undefined) {
    const wire = httpWire(target.url, keyOf(session, target.keyEnv));
    return { wire, model: model.id, kind: "url", close: async () => {} };
  }
  const { config } = session;
  const runtime = model.ctx === undefined ? config.runtime : { ...config.runtime, contextLength: model.ctx };
  const here = { ...session, config: { ...config, runtime } };
  if (target.api === "engine") return await openEngine(here, model.id, pull);
  const isFound = (await findDaemon(session)) !== undefined;
  const opened = await openModel(here, model.id, { pull });
  const version = await versionOf(opened.client);
  // Ollama's API lives beside /v1, not in it.
  const base = target.api === "ollama" ? opened.client.url : `${opened.client.url}/v1`;
  return {
    wire: httpWire(base, config.api.key),
    model: opened.name,
    kind: isFound ? "daemon" : "in process",
    ...(version !== undefined && { version }),
    close: opened.close,
  };
}

/** A node of this process, asked past its HTTP server. */
async function openEngine(session: Session, model: string, pull: boolean): Promise<OpenTarget> {
  if (await findDaemon(session))
    throw new Problem(
      "invalid",
      "api: engine measures without HTTP, and the exo that runs is reached by it alone",
      {
        param: "target.api",
        remedy: "stop that exo, or leave out api: engine",
      },
    );
  const { modelAt } = await import("../node/models.ts");
  const { openNode } = await import("../node/local-node.ts");
  const found = await modelAt(session, model, pull);
  const node = await openNode(session, { host: "127.0.0.1", port: 0, pull: false, joins: false });
  const stop = () => void node.stop();
  session.signal.addEventListener("abort", stop, { once: true });
  try {
    await node.load(found.reference);
  } catch (error) {
    await node.stop();
    throw error;
  } finally {
    session.signal.removeEventListener("abort", stop);
  }
  const wire = engineWire(node.generate, session.clock.freshId);
  return { wire, model: found.reference, kind: "in process", close: () => node.stop() };
}

/** The key of this exo goes to no other server unless its name is written there. */
function keyOf({ config }: Session, keyEnv: string | undefined): string | undefined {
  if (keyEnv === undefined) return undefined;
  const key = keyEnv === "EXO_API_KEY" ? config.api.key : config.childEnvironment[keyEnv];
  if (key !== undefined && key !== "") return key;
  throw new Problem("unauthorised", `the config takes the key from ${keyEnv}, which is not set`, {
    param: "target.key_env",
    remedy: `set ${keyEnv}, or leave out key_env`,
  });
}

async function versionOf(client: Client): Promise<string | undefined> {
  const { version } = await client
    .get<{ version?: string }>("/exo/v1/version")
    .catch(() => ({ version: undefined }));
  return version;
}
