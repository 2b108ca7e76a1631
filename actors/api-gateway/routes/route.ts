/** One address of the server beside the dialects. */
export interface Route {
  readonly method: "GET" | "POST";
  /** `*` at the end takes the rest of the path. */
  readonly path: string;
  /** Throws a Problem. */
  handle(request: RouteRequest): object | Promise<object>;
}

export interface RouteRequest {
  /** What `*` stands for, percent-decoded. */
  readonly rest: string;
  json(): Promise<unknown>;
}
