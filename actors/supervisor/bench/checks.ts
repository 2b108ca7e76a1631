/** `check:` of a scenario: whether answers are still as good as before, which a speed-up may cost. */
import type { TargetAbilities } from "./abilities.ts";
import type { AskPorts } from "./asking.ts";
import type { Scenario } from "./bench-config.ts";
import { factsOf, rightAnswers } from "./checks/answers.ts";
import { perplexityOf, textOf } from "./checks/perplexity.ts";
import { casesOf, rightCalls } from "./checks/tools.ts";
import type { CheckKind, Quality } from "./quality.ts";

export type { Quality } from "./quality.ts";

export interface CheckPorts {
  readonly ask: AskPorts;
  readonly abilities: TargetAbilities;
  /** The name to ask for. */
  readonly model: string;
  /** Text of a file that the config names; throws Problem. */
  readonly read: (path: string) => string;
  readonly status: (text: string) => void;
}

/** What one check found; a text where the target cannot be checked so. */
export type Checked = Pick<Quality, "value" | "count" | "wrong"> | string;

/** `source` is the file that the config names, or `builtin`. Throws Problem. */
type Check = (source: string, ports: CheckPorts) => Promise<Checked>;

const CHECKS: Readonly<Record<CheckKind, Check>> = {
  perplexity: perplexityOf,
  answers: rightAnswers,
  tools: rightCalls,
};

const SOURCES: Readonly<Record<CheckKind, (source: string, read: CheckPorts["read"]) => unknown>> = {
  perplexity: textOf,
  answers: factsOf,
  tools: casesOf,
};

/** What is missing or damaged is said before hours of measuring. Throws Problem. */
export function readSources({ check = {} }: Scenario, read: CheckPorts["read"]): void {
  for (const [kind, source] of Object.entries(check) as [CheckKind, string][]) SOURCES[kind](source, read);
}

export async function runChecks(
  { name, check = {} }: Scenario,
  ports: CheckPorts,
): Promise<{ quality: readonly Quality[]; warnings: readonly string[] }> {
  const quality: Quality[] = [];
  const warnings: string[] = [];
  for (const [kind, source] of Object.entries(check) as [CheckKind, string][]) {
    ports.status(`${name}: ${kind} of ${source}`);
    const found = await CHECKS[kind](source, ports);
    if (typeof found === "string") warnings.push(`${name}: ${kind} is not known: ${found}`);
    else quality.push({ scenario: name, model: ports.model, check: kind, ...found });
  }
  return { quality, warnings };
}
