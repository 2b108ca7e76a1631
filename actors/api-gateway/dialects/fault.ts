/** A Problem whose HTTP code is finer than its kind. */
import { Problem } from "#protocol/problem";

export type FaultCode =
  | "invalid_value"
  | "missing_required_parameter"
  | "unsupported_content"
  | "unsupported_value"
  | "invalid_json"
  | "unknown_url"
  | "method_not_allowed"
  | "unsupported_encoding"
  | "unsupported_media_type"
  | "request_timeout"
  | "too_many_failures"
  | "forbidden_host"
  | "forbidden_origin";

interface More {
  readonly param?: string;
  readonly remedy?: string;
  /** That go with the answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

export class Fault extends Problem {
  readonly code: FaultCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: FaultCode, message: string, more: More = {}) {
    super(kindOf(code), message, more);
    this.code = code;
    this.headers = more.headers ?? {};
  }
}

function kindOf(code: FaultCode): Problem["kind"] {
  if (code === "unknown_url") return "notFound";
  if (code === "too_many_failures") return "overloaded";
  if (code === "forbidden_host" || code === "forbidden_origin") return "forbidden";
  return "invalid";
}

/** For what a client may ask but this version cannot do: never silently dropped. */
export const unsupported = (param: string, what: string, remedy: string): Fault =>
  new Fault("unsupported_value", `${what} is not supported yet`, { param, remedy });
