/** What a model hub says of a repository. API: https://huggingface.co/docs/hub/api, `GET /api/models/{id}/revision/{rev}`. */
import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { Problem } from "#protocol/problem";
import { json } from "./hub-body.ts";
import {
  ask,
  askOnce,
  type HubPorts,
  type HubSettings,
  type OnRetry,
  Passing,
  pauseOrGiveUp,
} from "./hub-request.ts";

/** The content's name and proof: SHA-256 of large files (LFS), or git's SHA-1 of the blob. */
export interface FileHash {
  readonly type: "sha256" | "gitSha1";
  readonly hex: string;
}

export interface HubFile {
  /** Path inside the repository, safe to join to a folder. */
  readonly path: string;
  readonly bytes: number;
  readonly hash: FileHash;
}

/** A file as listed: size and hash are absent at mirrors that do not tell them in the list. */
export interface ListedFile {
  readonly path: string;
  readonly bytes?: number;
  readonly hash?: FileHash;
}

export interface HubRepository {
  readonly repository: string;
  /** What the revision stands for now: 40 hexadecimal digits. */
  readonly commit: string;
  readonly files: readonly ListedFile[];
}

export interface RepositoryQuery {
  readonly repository: string;
  readonly revision: string;
  readonly signal?: AbortSignal;
  readonly onRetry?: OnRetry;
}

/** The largest model repositories list a few thousand files in about 1 MB. */
const MAX_DESCRIPTION_BYTES = 16 * 1024 * 1024;
const MAX_FILES = 20_000;

const Sibling = t.Object({
  rfilename: t.String({ minLength: 1, maxLength: 1024 }),
  size: t.Optional(t.Union([t.Null(), t.Integer({ minimum: 0 })])),
  blobId: t.Optional(t.Union([t.Null(), t.String()])),
  lfs: t.Optional(t.Union([t.Null(), t.Object({ sha256: t.String(), size: t.Integer({ minimum: 0 }) })])),
});
const Description = t.Object({
  sha: t.String({ pattern: "^[0-9a-f]{40}$" }),
  siblings: t.Array(Sibling),
});

/** Lists a repository at a revision; throws Problem (notFound, unauthorised, network, tooLarge). */
export async function repositoryAt(
  hub: HubSettings,
  ports: HubPorts,
  query: RepositoryQuery,
): Promise<HubRepository> {
  const { repository, revision, signal, onRetry } = query;
  const url = `${root(hub)}/api/models/${encoded(repository)}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const request = {
    url,
    subject: { repository, revision },
    ...(signal && { signal }),
    ...(onRetry && { onRetry }),
  };
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await askOnce(hub, ports, request);
      return described(repository, await json(answer, ports.clock, MAX_DESCRIPTION_BYTES, signal));
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      await pauseOrGiveUp(error, attempt, ports.clock, request);
    }
  }
}

function described(repository: string, body: unknown): HubRepository {
  if (!Value.Check(Description, body)) {
    const wrong = Value.Errors(Description, body).First();
    throw new Problem(
      "network",
      `the hub's description of ${repository} is not understood at ${wrong?.path}: ${wrong?.message}`,
      {
        remedy: "Check HF_ENDPOINT.",
      },
    );
  }
  if (body.siblings.length > MAX_FILES) {
    throw new Problem(
      "tooLarge",
      `${repository} lists ${body.siblings.length} files; a model has at most ${MAX_FILES}`,
    );
  }
  const files = body.siblings.map(({ rfilename, size, blobId, lfs }): ListedFile => {
    const bytes = lfs?.size ?? size;
    const hash = hashOf(lfs?.sha256 ?? blobId ?? "");
    return { path: rfilename, ...(typeof bytes === "number" && { bytes }), ...(hash && { hash }) };
  });
  return { repository, commit: body.sha, files };
}

/** Fills in what the list left out by asking for the file's head; a file that cannot be verified is refused. */
export async function completed(
  hub: HubSettings,
  ports: HubPorts,
  file: ListedFile,
  of: { readonly repository: string; readonly commit: string; readonly signal?: AbortSignal },
): Promise<HubFile> {
  const { path, bytes, hash } = file;
  if (bytes !== undefined && hash !== undefined) return { path, bytes, hash };
  const { response, linked, close } = await ask(hub, ports, {
    url: fileUrl(hub, of.repository, of.commit, path),
    method: "HEAD",
    subject: { repository: of.repository, revision: of.commit, file: path },
    ...(of.signal && { signal: of.signal }),
  });
  close();
  const length = linked.bytes ?? Number(response.headers.get("content-length") ?? Number.NaN);
  const found = hashOf(
    linked.etag ?? response.headers.get("etag")?.replace(/^W\//, "").replaceAll('"', "") ?? "",
  );
  if (found === undefined || !Number.isSafeInteger(length)) {
    throw new Problem(
      "network",
      `the hub gives neither size nor hash of ${path} in ${of.repository}: it cannot be verified`,
      {
        remedy: "Check HF_ENDPOINT.",
      },
    );
  }
  return { path, bytes: length, hash: found };
}

/** The hash that a text of hexadecimal digits is, by its length; undefined for anything else. */
export function hashOf(text: string): FileHash | undefined {
  if (/^[0-9a-f]{64}$/.test(text)) return { type: "sha256", hex: text };
  if (/^[0-9a-f]{40}$/.test(text)) return { type: "gitSha1", hex: text };
  return undefined;
}

/** Where a file's bytes are asked for; the commit, not a branch, so that a resumed file cannot become another's. */
export const fileUrl = (hub: HubSettings, repository: string, commit: string, path: string): string =>
  `${root(hub)}/${encoded(repository)}/resolve/${commit}/${encoded(path)}`;

const root = (hub: HubSettings): string => hub.endpoint.replace(/\/+$/, "");
const encoded = (path: string): string => path.split("/").map(encodeURIComponent).join("/");
