/** What a target can be told, found out by asking it once. */
import { Problem } from "#protocol/problem";
import type { Api } from "./bench-config.ts";
import { type Answered, reasonOf } from "./question.ts";
import type { Wire, WireAnswer } from "./wire.ts";
import { COMMON_WORDS } from "./words.ts";

export interface TargetAbilities {
  readonly api: "chat" | "completions";
  /** Prompts may be token ids, and pieces tell theirs: lengths are exact without any search. */
  readonly tokenIds: boolean;
  /** How an answer is made as long as asked. */
  readonly lengthens: "ignore_eos" | "min_tokens" | "no";
  /** Ids that are known to be tokens of the model; empty without `tokenIds`. */
  readonly pool: readonly number[];
}

/** APIs that this client speaks; the others are refused where the config names them. */
const SPOKEN: readonly Api[] = ["chat", "completions"];

/** Throws Problem where the target refuses even the simplest request. */
export async function abilitiesOf(
  wire: Wire,
  { model, api, signal }: { model: string; api: Api | undefined; signal: AbortSignal },
): Promise<TargetAbilities> {
  if (api !== undefined && !SPOKEN.includes(api)) throw notSpoken(api);
  const pool = api === "chat" ? [] : await poolOf(wire, model, signal);
  const spoken = api === "completions" || (api === undefined && pool.length > 0) ? "completions" : "chat";
  const path = spoken === "chat" ? "/chat/completions" : "/completions";
  const plain = {
    model,
    max_tokens: 2,
    temperature: 0,
    ...(spoken === "chat" ? { messages: [{ role: "user", content: "Hi" }] } : { prompt: "Hi" }),
  };
  const takes = async (more: object) => (await wire.post(path, { ...plain, ...more }, signal)).status < 400;
  const first = await wire.post(path, plain, signal);
  if (first.status >= 400) throw await refusalOf(first, wire.url + path);
  const lengthens = (await takes({ ignore_eos: true }))
    ? "ignore_eos"
    : (await takes({ min_tokens: 2 }))
      ? "min_tokens"
      : "no";
  return { api: spoken, tokenIds: pool.length > 0, lengthens, pool };
}

const notSpoken = (api: Api): Problem =>
  new Problem("invalid", `target.api ${api} is not spoken by this client yet`, {
    param: "target.api",
    remedy: "use api: chat or api: completions",
  });

/** The tokens of common words, from a server that takes ids and says those of a text (exo, vLLM); else none. */
async function poolOf(wire: Wire, model: string, signal: AbortSignal): Promise<readonly number[]> {
  const ask = async (prompt: string | readonly number[]): Promise<Answered> => {
    const body = { model, prompt, max_tokens: 1, temperature: 0, return_token_ids: true };
    const answer = await wire.post("/completions", body, signal);
    return answer.status < 400 ? JSON.parse(await answer.text()) : {};
  };
  const ids = (await ask(COMMON_WORDS.join(" "))).choices?.[0]?.prompt_token_ids ?? [];
  // The first may be a token that begins every text, which belongs nowhere else.
  const pool = [...new Set(ids.slice(1))];
  if (pool.length < POOL_LEAST) return [];
  const probe = pool.slice(0, 3);
  const { usage } = await ask(probe);
  return usage?.prompt_tokens === probe.length ? pool : [];
}

/** Fewer different tokens would make prompts that repeat themselves. */
const POOL_LEAST = 32;

async function refusalOf(answer: WireAnswer, url: string): Promise<Problem> {
  const reason = reasonOf(await answer.text(), answer.status);
  const kind = answer.status === 404 ? "notFound" : answer.status === 401 ? "unauthorised" : "unavailable";
  const isBare = kind === "notFound" && !/\/v\d+\//.test(url);
  return new Problem(kind, `${url} refuses a first request: ${reason}`, {
    remedy: isBare
      ? "most of these APIs live under /v1: add it to the URL"
      : "see target.url, the model's name and the key (key_env)",
  });
}
