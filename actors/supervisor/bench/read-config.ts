/** config.yaml, version 1: which keys it may have and what they mean. */
import { BACKEND_WISHES } from "#protocol/collective";
import { HIDDEN_WISHES } from "#protocol/pass";
import {
  APIS,
  type BenchConfig,
  type Collect,
  FORMATS,
  HABITS,
  type Habits,
  type ModelChoice,
  type Placement,
  STRATEGIES,
  type Target,
} from "./bench-config.ts";
import { limits } from "./limits.ts";
import { type Fields, type Located, type Read, type Reader, readYaml } from "./located.ts";
import { habitFields, habitsOf, scenario } from "./read-scenario.ts";
import { duration, flag, listOf, oneOrMany, shown, text, whole, word } from "./readers.ts";
import { requirements } from "./requirements.ts";

export const BASELINE_LAST = "last";
export const OUTPUT_DEFAULT = "bench";

/** Throws Problem with every fault as `path:line:column: what`. */
export const readConfig = (yaml: string, path: string): BenchConfig => readYaml(yaml, path, config);

export const URL_EXAMPLE = "http://localhost:52415/v1";

/** What paths are put behind; undefined where it is no URL of a server. */
export const baseUrl = (said: string): string | undefined =>
  /^https?:\/\//.test(said) && URL.canParse(said) ? said.replace(/\/+$/, "") : undefined;

const url: Reader<string> = (at) => {
  const base = baseUrl(text(at));
  if (base !== undefined) return base;
  throw at.misfit(`must be a URL such as ${URL_EXAMPLE}, not ${text(at)}`);
};

const target: Reader<Target> = (at) => {
  const { url: where, api, key_env } = at.fields({ url, api: word(...APIS), key_env: text });
  if (where !== undefined && api === "engine")
    throw at.misfit("has both a url and api: engine, which is this exo without HTTP");
  return {
    ...(where !== undefined && { url: where }),
    ...(api !== undefined && { api }),
    ...(key_env !== undefined && { keyEnv: key_env }),
  };
};

const model: Reader<ModelChoice> = (at) => {
  if (!at.isMap) return { id: text(at) };
  const { id, ...more } = at.fields({ id: text, quant: text, ctx: whole(1) });
  if (id === undefined) throw at.misfit("needs an id");
  return { id, ...more };
};

const placement: Reader<Placement> = (at) =>
  at.fields({
    strategy: oneOrMany(word(...STRATEGIES)),
    backend: oneOrMany(word(...BACKEND_WISHES)),
    hidden: oneOrMany(word(...HIDDEN_WISHES)),
    nodes: listOf(oneOrMany(text)),
  });

const collect: Reader<Collect> = (at) =>
  at.fields({ energy: flag, gpu: flag, links: flag, stages: flag, interval: duration });

const output = (at: Located) => at.fields({ dir: text, formats: oneOrMany(word(...FORMATS)) });

const compare = (at: Located) => {
  const { baseline, fail_if = [] } = at.fields({ baseline: text, fail_if: limits });
  return { baseline: baseline ?? BASELINE_LAST, failIf: fail_if };
};

const version: Reader<1> = (at) => {
  if (at.scalar === 1) return 1;
  throw at.misfit(`must be 1, the only version there is, not ${shown(at)}`);
};

/** Read last, because what stands in `defaults` holds for them wherever it stands in the file. */
const later: Reader<Located> = (at) => at;

const FIELDS = {
  version,
  name: text,
  target,
  models: oneOrMany(model),
  placement,
  require: requirements,
  defaults: (at: Located): Read<typeof habitFields> => at.fields(habitFields),
  scenarios: later,
  collect,
  output,
  compare,
} satisfies Fields;

const config: Reader<BenchConfig> = (at) => {
  const read = at.fields(FIELDS);
  const habits: Habits = { ...HABITS, ...(read.defaults && habitsOf(read.defaults)) };
  const scenarios = read.scenarios?.attempt(listOf(scenario(habits)));
  if (!at.has("models")) throw at.misfit("names no models: write models: [smollm2]");
  if (read.scenarios === undefined)
    throw at.misfit(
      "has no scenarios: write at least one, such as - {name: chat, prompt_tokens: 512, output_tokens: 128}",
    );
  twice(scenarios ?? [], read.scenarios);
  return {
    name: read.name ?? "bench",
    target: read.target ?? {},
    models: read.models ?? [],
    scenarios: scenarios ?? [],
    collect: read.collect ?? {},
    output: { dir: read.output?.dir ?? OUTPUT_DEFAULT, formats: read.output?.formats ?? ["table", "json"] },
    ...(read.placement && { placement: read.placement }),
    ...(read.require && { require: read.require }),
    ...(read.compare && { compare: read.compare }),
  };
};

/** Cells are told apart by their scenario's name. */
function twice(scenarios: readonly { readonly name: string }[], at: Located): void {
  const names = scenarios.map(({ name }) => name);
  const again = names.find((name, i) => names.indexOf(name) !== i);
  if (again !== undefined) throw at.misfit(`has two of the name ${again}`);
}
