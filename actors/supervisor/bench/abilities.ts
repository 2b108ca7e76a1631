/** What a target can be told, found out by asking it once. */
import { type AskPorts, askWhole, refusal } from "./asking.ts";
import type { Api } from "./bench-config.ts";
import type { Asking, Dialect, Heard } from "./dialects/dialect.ts";
import { DIALECTS } from "./dialects/dialects.ts";
import type { PromptText, Question } from "./question.ts";
import { COMMON_WORDS } from "./words.ts";

/** `tokenIds`: prompts may be token ids, and pieces tell theirs, so that lengths are exact without any search. */
export interface TargetAbilities extends Asking {
  readonly dialect: Dialect;
  /** Ids that are known to be tokens of the model; empty without `tokenIds`. */
  readonly pool: readonly number[];
}

interface Wanted {
  readonly model: string;
  /** Undefined: completions where they take token ids, else chat. */
  readonly api: Api | undefined;
}

/** Throws Problem where the target refuses even the simplest request. */
export async function abilitiesOf(ports: AskPorts, { model, api }: Wanted): Promise<TargetAbilities> {
  const takesIds = api === undefined || api === "completions" || api === "engine";
  const direct = DIALECTS[api === "engine" ? "engine" : "completions"];
  const pool = takesIds ? await poolOf(ports, direct, model) : [];
  const tokenIds = pool.length > 0;
  const dialect = DIALECTS[api ?? (tokenIds ? "completions" : "chat")];
  const plain = questionOf(dialect, model, { type: "text", text: "Hi" });
  const first = await askWhole(ports, dialect.path, dialect.body(plain, PLAIN));
  if (first.status >= 400 || first.json === undefined) throw refusal(first, ports.wire.url + dialect.path);
  for (const lengthens of dialect.lengthens) {
    const body = dialect.body({ ...plain, exact: true }, { ...PLAIN, lengthens });
    if ((await askWhole(ports, dialect.path, body)).status < 400)
      return { dialect, tokenIds, lengthens, pool };
  }
  return { dialect, tokenIds, lengthens: "no", pool };
}

const PLAIN: Asking = { lengthens: "no", tokenIds: false };

const questionOf = ({ leastTokens }: Dialect, model: string, prompt: PromptText): Question => ({
  model,
  prompt,
  outputTokens: leastTokens,
  temperature: 0,
  stream: false,
  exact: false,
});

/** The tokens of common words, from a server that takes ids and says those of a text (exo, vLLM); else none. */
async function poolOf(ports: AskPorts, dialect: Dialect, model: string): Promise<readonly number[]> {
  const ask = async (prompt: PromptText): Promise<Heard> => {
    const body = dialect.body(questionOf(dialect, model, prompt), { ...PLAIN, tokenIds: true });
    const { status, json } = await askWhole(ports, dialect.path, body);
    return status < 400 ? dialect.heard(json) : {};
  };
  const ids = (await ask({ type: "text", text: COMMON_WORDS.join(" ") })).promptIds ?? [];
  // The first may be a token that begins every text, which belongs nowhere else.
  const pool = [...new Set(ids.slice(1))];
  if (pool.length < POOL_LEAST) return [];
  const probe = pool.slice(0, 3);
  const { promptTokens } = await ask({ type: "tokens", ids: probe });
  return promptTokens === probe.length ? pool : [];
}

/** Fewer different tokens would make prompts that repeat themselves. */
const POOL_LEAST = 32;

/** How many tokens the target counts in a text, or undefined where it does not say. */
export async function countedTokens(
  ports: AskPorts,
  { dialect }: Pick<TargetAbilities, "dialect">,
  asked: { readonly model: string; readonly text: string },
): Promise<number | undefined> {
  const question = questionOf(dialect, asked.model, { type: "text", text: asked.text });
  const { status, json } = await askWhole(ports, dialect.path, dialect.body(question, PLAIN));
  return status < 400 ? dialect.heard(json).promptTokens : undefined;
}
