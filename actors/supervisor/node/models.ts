/** The models of this machine, as commands and the node ask for them: names from exo.yaml, the store, and the hub. */
import type { ModelListing } from "#actors/api-gateway/ports";
import type { Local } from "#actors/shard-worker/weights/resolve";
import type { StoredModel } from "#actors/shard-worker/weights/store";
import type { Places } from "#actors/shard-worker/weights/store-places";
import { Problem } from "#protocol/problem";
import type { Session } from "../session.ts";

/** A name of exo.yaml stands for its model. */
export const namedIn = ({ config }: Session, name: string): string => config.models.aliases[name] ?? name;

/** Where models may lie, and the short names they go by. */
export async function placesOf({ config }: Session): Promise<Places> {
  const { hubFolders } = await import("#actors/shard-worker/weights/hub-cache");
  const { catalog } = await import("#actors/planner/catalog");
  const { hub, models, home, folder, userHome } = config;
  const set = {
    ...(hub.hfHome !== undefined && { hfHome: hub.hfHome }),
    ...(hub.hfHubCache !== undefined && { hfHubCache: hub.hfHubCache }),
  };
  return {
    hubFolders: hubFolders({ ...set, userCache: hub.userCache, exoHome: home }),
    modelFolders: [models.dir],
    extraModelFolders: models.extraFolders,
    aliases: catalog,
    cwd: folder,
    home: userHome,
  };
}

export async function storedModels(session: Session): Promise<readonly StoredModel[]> {
  const { list } = await import("#actors/shard-worker/weights/store");
  return list(await placesOf(session));
}

/** For /v1/models. */
export const listings = async (session: Session): Promise<readonly ModelListing[]> =>
  (await storedModels(session)).map(({ name, path, bytes, modifiedSeconds, quantisation }) => ({
    id: name,
    path,
    bytes,
    state: "downloaded",
    created: modifiedSeconds,
    quantisation,
  }));

/** Where a model lies, fetched first if `pull` allows it. Throws Problem. */
export async function modelAt(session: Session, name: string, pull: boolean): Promise<Local> {
  const { resolve } = await import("#actors/shard-worker/weights/resolve");
  const found = await resolve(namedIn(session, name), await placesOf(session));
  if (found.type === "local") return found;
  if (pull) return await fetchModel(session, name, false);
  throw new Problem("notFound", `${found.name} is not on this machine`, {
    remedy: `fetch it: exo pull ${found.reference}`,
  });
}

/** Fetches a model with its progress shown; what is here is not fetched again. */
export async function fetchModel(session: Session, name: string, refresh: boolean): Promise<Local> {
  const { pull, freeBytes } = await import("#actors/shard-worker/weights/pull");
  const { config, clock, signal, progress } = session;
  const { endpoint, token, offline } = config.hub;
  const { modelTypeOf } = await import("#actors/shard-worker/models/registry");
  const { pullProgress } = await import("../commands/pull-progress.ts");
  try {
    return await pull(namedIn(session, name), {
      hub: { endpoint, offline, ...(token !== undefined && { token }) },
      places: await placesOf(session),
      ports: { fetch, clock, freeBytes },
      signal,
      refresh,
      checkConfig: (config) => void modelTypeOf(config),
      onProgress: pullProgress(session, name),
    });
  } finally {
    progress.end();
  }
}
