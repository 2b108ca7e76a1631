/** The target of a benchmark, made ready: a server that the user names, an exo that runs, or a node of this process. */
import type { Local } from "#actors/shard-worker/weights/resolve";
import { Problem } from "#protocol/problem";
import type { ModelState } from "#protocol/supervisor";
import type { Client } from "../daemon/client.ts";
import { findDaemon, needDaemon } from "../daemon/daemon.ts";
import { type OpenedModel, openModel } from "../daemon/open-model.ts";
import { modelAt, namedIn } from "../node/models.ts";
import type { Session } from "../session.ts";
import { shownStages } from "../terminal/node-words.ts";
import type { BenchConfig, ModelChoice } from "./bench-config.ts";
import { engineWire } from "./dialects/engine.ts";
import { type PlacementChoice, Unplaced } from "./placements.ts";
import type { OpenTarget } from "./run-bench.ts";
import { httpWire } from "./wire.ts";

/** Throws Problem. */
export async function openTarget(
  session: Session,
  { target }: BenchConfig,
  { model, placement, pull }: { model: ModelChoice; placement: PlacementChoice | undefined; pull: boolean },
): Promise<OpenTarget> {
  if (target.url !== undefined) {
    const wire = httpWire(target.url, keyOf(session, target.keyEnv));
    return { wire, model: model.id, kind: "url", close: async () => {} };
  }
  const { config } = session;
  const runtime = model.ctx === undefined ? config.runtime : { ...config.runtime, contextLength: model.ctx };
  const here = { ...session, config: { ...config, runtime } };
  if (target.api === "engine") return await openEngine(here, model.id, pull);
  // A wish is for a home: where its exo has ended meanwhile, this process does not answer under its name.
  const isFound = placement?.wish !== undefined || (await findDaemon(session)) !== undefined;
  const opened: Placed =
    isFound && placement
      ? await placedAt(here, { model: model.id, placement, pull })
      : await openModel(here, model.id, { pull });
  const version = await versionOf(opened.client);
  // Ollama's API lives beside /v1, not in it.
  const base = target.api === "ollama" ? opened.client.url : `${opened.client.url}/v1`;
  return {
    wire: httpWire(base, config.api.key),
    model: opened.name,
    kind: isFound ? "daemon" : "in process",
    ...(version !== undefined && { version }),
    ...(opened.stages !== undefined && { stages: opened.stages }),
    close: opened.close,
  };
}

interface Placed extends OpenedModel {
  /** Which machines have which layers, where it is on several. */
  readonly stages?: string;
}

/** Placed for the bench alone, and out of memory after it: the next placement is to find the machines as this one did. */
async function placedAt(
  session: Session,
  { model, placement, pull }: { model: string; placement: PlacementChoice; pull: boolean },
): Promise<Placed> {
  try {
    const daemon = await needDaemon(session);
    if (await heldAt(session, daemon, model))
      throw new Problem("unavailable", `${model} is loaded already, as others asked for it`, {
        remedy: `stop it first: exo stop ${model}`,
      });
    const { wish } = placement;
    let isOpen = false;
    const opening = async () => {
      const opened = await openModel(session, model, { pull, ...(wish && { wish }) });
      isOpen = true;
      return { opened, stages: (await heldAt(session, daemon, model))?.stages };
    };
    const { opened, stages } = await opening().catch(async (error: unknown) => {
      await dropped(session, daemon, { model, isOpen });
      throw error;
    });
    const close = async () => {
      if (await isUsed(session, daemon, model))
        session.terminal.err(`${opened.name} stays loaded: others ask it\n`);
      else await stopped(daemon, opened.name);
      await opened.close();
    };
    return { ...opened, close, ...(stages && { stages: shownStages(stages) }) };
  } catch (error) {
    if (error instanceof Problem && !session.signal.aborted)
      throw new Unplaced(`${model}, ${placement.label}`, error);
    throw error;
  }
}

/** One that failed is shown only to say why: it is in nobody's memory. */
async function heldAt(
  session: Session,
  daemon: Client,
  model: string,
  signal = session.signal,
): Promise<ModelState | undefined> {
  const { models } = await daemon.get<{ models: readonly ModelState[] }>("/exo/v1/ps", signal);
  const stored = await storedHere(session, model);
  const names = [namedIn(session, model), stored?.name];
  return models.find(
    ({ model: name, path, state }) => state !== "failed" && (names.includes(name) || path === stored?.path),
  );
}

/** Answers that the bench gave up count among the requests for a moment. */
const LOOKS = 10;
const LOOK_EVERY_MS = 100;

/** Whether others ask it, as far as this exo knows: requests are counted where the last layers are. Looks after Ctrl-C as well. */
async function isUsed(session: Session, daemon: Client, model: string): Promise<boolean> {
  for (let look = 0; look < LOOKS; look++) {
    const held = await heldAt(session, daemon, model, AbortSignal.timeout(LEAVE_MS)).catch(() => undefined);
    if (!held || held.requests === 0) return false;
    await new Promise<void>((resolve) => void session.clock.after(LOOK_EVERY_MS, resolve));
  }
  return true;
}

/** Whatever it was asked for by; undefined where it does not lie here, or the exo is one that a URL names, with a disk of its own. */
async function storedHere(session: Session, model: string): Promise<Local | undefined> {
  if (session.config.host !== undefined) return undefined;
  try {
    return await modelAt(session, model, false);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

async function stopped(daemon: Client, model: string, signal?: AbortSignal): Promise<void> {
  try {
    await daemon.post("/exo/v1/stop", { model }, signal);
  } catch (error) {
    // Out of memory is what is wanted, whoever did it.
    if (!(error instanceof Problem && error.kind === "notFound")) throw error;
  }
}

/** Whoever leaves does not wait for a placement that is being decided; the exo goes on with it. */
const LEAVE_MS = 2_000;

/** What was asked for and did not come, or was not waited for; what came by others' asking stays. Never throws: why it did not come is told. */
async function dropped(
  session: Session,
  daemon: Client,
  { model, isOpen }: { readonly model: string; readonly isOpen: boolean },
): Promise<void> {
  const signal = AbortSignal.timeout(LEAVE_MS);
  try {
    const held = await heldAt(session, daemon, model, signal).catch(() => undefined);
    // One that was waited for to its failure is not ready by that.
    const isOthers = held?.state === "ready" && !isOpen && !session.signal.aborted;
    if (isOthers || (held && held.requests > 0)) return;
    const name = (await storedHere(session, model))?.reference ?? namedIn(session, model);
    await stopped(daemon, name, signal);
  } catch {
    // The exo may be gone, which is then why it did not come.
  }
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
