/** Requests to an app without a socket, and answers in a form that reads well in a snapshot. For tests only. */
import type { App } from "../serve.ts";

export const post = (app: App, path: string, body: unknown, init: RequestInit = {}): Promise<Response> =>
  app.handle(
    new Request(`http://localhost${path}`, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...init,
    }),
  );

/** The JSON of each record of a stream, `[DONE]` as text; checks that each is one data line and that nothing follows. */
export async function records(response: Response): Promise<(Record<string, unknown> | string)[]> {
  const text = await response.text();
  if (!text.endsWith("data: [DONE]\n\n"))
    throw new Error(`the stream does not end with [DONE]: ${text.slice(-80)}`);
  const parts = text
    .slice(0, -2)
    .split("\n\n")
    .filter((part) => !part.startsWith(":"));
  return parts.map((part) => {
    if (!part.startsWith("data: ") || part.includes("\n")) throw new Error(`not one data line: ${part}`);
    const data = part.slice("data: ".length);
    return data === "[DONE]" ? data : JSON.parse(data);
  });
}

/** One line per record: what each choice says, then the rest that is not the same in all. */
export async function lines(response: Response): Promise<string> {
  const said = (await records(response)).map((record) => {
    if (typeof record === "string") return record;
    const { id, object, created, model, system_fingerprint, service_tier, choices, ...more } = record;
    return [...(Array.isArray(choices) ? choices : []), more]
      .map(brief)
      .filter((text) => text !== "")
      .join(" ");
  });
  return said.join("\n");
}

/** JSON without the quotes and nulls that hide the words. */
function brief(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(brief).join(" ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  const fields = Object.entries(value).filter(([, field]) => field !== null);
  return fields
    .map(([key, field]) => `${key}:${typeof field === "object" ? `(${brief(field)})` : brief(field)}`)
    .join(" ");
}

/** The parts of any answer that tests read. */
interface Told {
  readonly choices: readonly { readonly text?: string; readonly [key: string]: unknown }[];
  readonly usage: Readonly<Record<string, unknown>>;
  readonly error: Readonly<Record<"message" | "type" | "param" | "code", string | null>>;
}

export const told = async (response: Response): Promise<Told> => (await response.json()) as Told;

/** An error on one line; checks that it has the four keys and no others. */
export async function refusal(response: Response): Promise<string> {
  const { error } = await told(response);
  const keys = Object.keys(error).join();
  if (keys !== "message,type,param,code") throw new Error(`an error with the keys ${keys}`);
  return `${response.status} ${error.type} ${error.code} ${error.param}: ${error.message}`;
}
