/** A hub of our own on loopback, with the real one's answers and every trouble that a test asks for. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export interface TestRepository {
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly commit?: string;
  /** Terms to accept: `nobody` has, or `token` has and anonymous users have not. */
  readonly gated?: "nobody" | "token";
  /** A mirror that lists names alone. */
  readonly bare?: boolean;
  /** Further siblings, as raw JSON. */
  readonly siblings?: readonly unknown[];
}

/** What goes wrong with the next request for a file's bytes, or for `api`. */
export type Trouble =
  | { readonly status: number; readonly headers?: Record<string, string> }
  | { readonly corrupt: true }
  | { readonly ignoreRange: true }
  | { readonly extra: number }
  /** Sends so many bytes, then nothing, and keeps the line open. */
  | { readonly silentAt: number }
  | { readonly redirect: string }
  | { readonly offerEtag: string };

export interface Seen {
  readonly at: "hub" | "store";
  readonly path: string;
  readonly range?: string;
  readonly authorization?: string;
}

export interface TestHub {
  readonly url: string;
  readonly repositories: Record<string, TestRepository>;
  readonly seen: Seen[];
  readonly troubles: Map<string, Trouble[]>;
  /** Breaks every connection to the store. What a client has not read by then is lost to it. */
  cut(): void;
  close(): Promise<void>;
}

const COMMIT = "c".repeat(40);
const TOKEN = "hf_good";

/** Starts the hub and, on a port of its own, the store that it redirects large files to. */
export async function startHub(repositories: Record<string, TestRepository>): Promise<TestHub> {
  const seen: Seen[] = [];
  const troubles = new Map<string, Trouble[]>();
  const hub: TestHub = {
    url: "",
    repositories,
    seen,
    troubles,
    cut: () => storeServer.closeAllConnections(),
    close: () => stop([hubServer, storeServer]),
  };
  const see = (at: Seen["at"], request: IncomingMessage): string => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname);
    const { range, authorization } = request.headers;
    seen.push({ at, path, ...(range && { range }), ...(authorization && { authorization }) });
    return path;
  };
  const storeServer = createServer((request, response) => {
    const [, owner, name, ...path] = see("store", request).split("/");
    sendFile(hub, `${owner}/${name}`, path.join("/"), request, response);
  });
  const storeUrl = await listen(storeServer);
  const hubServer = createServer((request, response) =>
    answer(hub, storeUrl, see("hub", request), request, response),
  );
  return Object.assign(hub, { url: await listen(hubServer) });
}

const listen = (server: Server): Promise<string> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(`http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`);
    });
  });

async function stop(servers: readonly Server[]): Promise<void> {
  for (const server of servers) server.closeAllConnections();
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
}

function answer(
  hub: TestHub,
  storeUrl: string,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const api = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path);
  const file = /^\/([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/.exec(path);
  const name = api?.[1] ?? file?.[1] ?? "";
  const repository = hub.repositories[name];
  const refused = refusalOf(repository, request.headers.authorization?.replace("Bearer ", ""), api !== null);
  if (refused !== undefined) refuse(response, ...refused);
  else if (repository === undefined) refuse(response, 500, {});
  else if (api) describe(hub, repository, api[2] ?? "", response);
  else if (isLarge(file?.[2] ?? ""))
    toStore(hub, repository, file?.[2] ?? "", `${storeUrl}/${name}`, response);
  else sendFile(hub, name, file?.[2] ?? "", request, response);
}

type Refused = [status: number, headers: Record<string, string>];

function refusalOf(
  repository: TestRepository | undefined,
  token: string | undefined,
  isApi: boolean,
): Refused | undefined {
  if (token !== undefined && token !== TOKEN) {
    return [401, { "x-error-message": "Invalid credentials in Authorization header" }];
  }
  if (repository === undefined) return token ? [404, { "x-error-code": "RepoNotFound" }] : [401, {}];
  const { gated } = repository;
  if (isApi || gated === undefined || (gated === "token" && token !== undefined)) return undefined;
  return [token ? 403 : 401, { "x-error-code": "GatedRepo" }];
}

function toStore(
  hub: TestHub,
  of: TestRepository,
  path: string,
  store: string,
  response: ServerResponse,
): void {
  const content = contentOf(of, path) ?? new Uint8Array();
  const trouble = hub.troubles.get(path)?.[0];
  refuse(response, 302, {
    location: `${store}/${path}`,
    "x-repo-commit": of.commit ?? COMMIT,
    "x-linked-size": String(content.byteLength),
    "x-linked-etag": `"${trouble && "offerEtag" in trouble ? trouble.offerEtag : sha256(content)}"`,
  });
}

function describe(
  hub: TestHub,
  repository: TestRepository,
  revision: string,
  response: ServerResponse,
): void {
  const trouble = hub.troubles.get("api")?.shift();
  const commit = repository.commit ?? COMMIT;
  if (trouble && "status" in trouble) refuse(response, trouble.status, trouble.headers ?? {});
  else if (trouble && "redirect" in trouble) refuse(response, 302, { location: trouble.redirect });
  else if (revision !== "main" && revision !== commit)
    refuse(response, 404, { "x-error-code": "RevisionNotFound" });
  else response.end(JSON.stringify({ id: "x", sha: commit, siblings: siblingsOf(repository) }));
}

function siblingsOf(repository: TestRepository): readonly unknown[] {
  const own = Object.keys(repository.files).map((rfilename) => {
    if (repository.bare) return { rfilename };
    const content = contentOf(repository, rfilename) ?? new Uint8Array();
    const size = content.byteLength;
    const lfs = isLarge(rfilename) && { lfs: { sha256: sha256(content), size, pointerSize: 134 } };
    return { rfilename, size, blobId: gitSha1(content), ...lfs };
  });
  return [...own, ...(repository.siblings ?? [])];
}

function sendFile(
  hub: TestHub,
  name: string,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const whole = contentOf(hub.repositories[name], path);
  const trouble = request.method === "HEAD" ? undefined : hub.troubles.get(path)?.shift();
  if (whole === undefined) refuse(response, 404, { "x-error-code": "EntryNotFound" });
  else if (trouble && "status" in trouble) refuse(response, trouble.status, trouble.headers ?? {});
  else sendBytes(whole, trouble, path, request, response);
}

function sendBytes(
  whole: Uint8Array,
  trouble: Trouble | undefined,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const asked = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const from = trouble && "ignoreRange" in trouble ? 0 : asked;
  const body = spoilt(Buffer.from(whole.subarray(from)), trouble);
  response.writeHead(from > 0 ? 206 : 200, {
    "content-length": String(body.byteLength),
    "x-repo-commit": COMMIT,
    etag: `"${isLarge(path) ? sha256(whole) : gitSha1(whole)}"`,
    ...(from > 0 && { "content-range": `bytes ${from}-${whole.byteLength - 1}/${whole.byteLength}` }),
  });
  if (request.method === "HEAD") response.end();
  else if (trouble && "silentAt" in trouble) response.write(body.subarray(0, trouble.silentAt));
  else response.end(body);
}

function spoilt(body: Buffer, trouble: Trouble | undefined): Buffer {
  if (trouble && "corrupt" in trouble) return Buffer.alloc(body.byteLength, 88);
  if (trouble && "extra" in trouble) return Buffer.concat([body, Buffer.alloc(trouble.extra)]);
  return body;
}

function refuse(response: ServerResponse, status: number, headers: Record<string, string>): void {
  response.writeHead(status, headers);
  response.end();
}

const isLarge = (path: string): boolean => /\.(safetensors|gguf|bin)$/.test(path);

function contentOf(repository: TestRepository | undefined, path: string): Uint8Array | undefined {
  const content = repository?.files[path];
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

export const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

export const gitSha1 = (content: Uint8Array): string =>
  createHash("sha1").update(`blob ${content.byteLength}\0`).update(content).digest("hex");

/** Bytes that compress badly and repeat never, the same for the same seed. */
export function content(bytes: number, seed = 1): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length: bytes }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}
