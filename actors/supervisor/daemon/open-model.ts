/** A model ready to answer: in an exo that already runs, or in a node of this process for as long as the command lives. */
import type { PlacementWish } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { ModelState } from "#protocol/supervisor";
import { openNode } from "../node/local-node.ts";
import { modelAt, namedIn } from "../node/models.ts";
import type { Session } from "../session.ts";
import { type Client, clientOf } from "./client.ts";
import { findDaemon, needDaemon } from "./daemon.ts";
import { checkpointAt } from "./home-checkpoint.ts";

export interface OpenedModel {
  readonly client: Client;
  /** The name to ask for. */
  readonly name: string;
  /** Ends what was started for this command. */
  close(): Promise<void>;
}

/** How often a loading model is asked how far it is. */
const LOOK_EVERY_MS = 250;

/** Throws Problem. No second copy of a model that a running exo holds is ever loaded. */
export async function openModel(
  session: Session,
  model: string,
  { pull: mayPull, wish }: { readonly pull: boolean; readonly wish?: PlacementWish },
): Promise<OpenedModel> {
  const pull = mayPull && session.config.models.autoPull !== false;
  const daemon = await (wish ? needDaemon(session) : findDaemon(session));
  if (daemon) return await openAt(session, daemon, { model, pull, ...(wish && { wish }) });
  const found = await modelAt(session, model, pull);
  const node = await openNode(session, { host: "127.0.0.1", port: 0, pull: false, joins: false });
  const client = clientOf(node.url, session.config.api.key);
  try {
    await watched(session, client, { name: found.name, loading: node.load(found.reference) });
  } catch (error) {
    await node.stop();
    throw error;
  }
  return { client, name: found.reference, close: () => node.stop() };
}

/** On this machine the daemon has the same store, so that the fetch can be shown here; another one fetches itself. */
async function openAt(
  session: Session,
  daemon: Client,
  how: { model: string; pull: boolean; wish?: PlacementWish },
): Promise<OpenedModel> {
  const close = async () => {};
  const { models } = await daemon.get<{ models: readonly ModelState[] }>("/exo/v1/ps", session.signal);
  const wanted = namedIn(session, how.model);
  if (session.config.runtime.contextLength !== undefined)
    session.progress.milestone("a running exo answers, with its own context: --ctx is that of exo serve");
  if (!how.wish && models.some(({ model, state }) => model === wanted && state === "ready"))
    return { client: daemon, name: wanted, close };
  const isLocal = session.config.host === undefined;
  const name = isLocal ? await here(session, daemon, how) : wanted;
  const loading = daemon.post<{ notes?: readonly string[] }>(
    "/exo/v1/load",
    { model: name, ...how.wish },
    session.signal,
  );
  await watched(session, daemon, { name, loading });
  for (const note of (await loading).notes ?? []) session.progress.milestone(note);
  return { client: daemon, name, close };
}

/** What another machine of the home has need not be fetched from anywhere else, nor lie on this one. */
async function here(
  session: Session,
  daemon: Client,
  { model, pull, wish }: { model: string; pull: boolean; wish?: PlacementWish },
): Promise<string> {
  const wanted = namedIn(session, model);
  try {
    return (await modelAt(session, model, false)).reference;
  } catch (error) {
    if (!(error instanceof Problem) || error.kind !== "notFound") throw error;
    if (wish || (await checkpointAt(daemon, wanted, session.signal))) return wanted;
    if (pull) return (await modelAt(session, model, true)).reference;
    throw error;
  }
}

/** Shows how far a load is until it is done; throws what it throws, or the signal's reason. */
export async function watched(
  { progress, clock, signal, terminal }: Session,
  client: Client,
  { name, loading }: { name: string; loading: Promise<unknown> },
): Promise<void> {
  let cancel = () => {};
  const look = async () => {
    const { models } = await client
      .get<{ models: readonly ModelState[] }>("/exo/v1/ps")
      .catch(() => ({ models: [] }));
    const here = models.find(({ state }) => state === "loading");
    if (here?.totalBytes)
      progress.status(
        `${here.fetching ? "fetching" : "loading"} ${name} ${Math.floor((100 * (here.loadedBytes ?? 0)) / here.totalBytes)} %`,
      );
    cancel = clock.after(LOOK_EVERY_MS, () => void look());
  };
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  if (terminal.redraws) {
    progress.status(`loading ${name}`);
    cancel = clock.after(LOOK_EVERY_MS, () => void look());
  }
  try {
    await Promise.race([loading, aborted]);
  } finally {
    cancel();
    progress.end();
  }
}
