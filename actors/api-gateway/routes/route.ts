/** One address of the server beside the dialects. */
import type { Access } from "../auth.ts";
import type { Visit } from "../visit.ts";

export interface Route {
  readonly method: "GET" | "POST";
  /** `*` at the end takes the rest of the path. */
  readonly path: string;
  /** Who may ask: a server with a route that does not say does not start. */
  readonly access: Access;
  /** Throws a Problem. */
  handle(request: RouteRequest): object | Promise<object>;
}

export interface RouteRequest {
  /** What `*` stands for, percent-decoded. */
  readonly rest: string;
  readonly headers: Headers;
  readonly visit: Visit;
  json(): Promise<unknown>;
}
