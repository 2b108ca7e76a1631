/** `exo bench`, as it is given. */
import { APIS, CONCURRENCY_MAX, FORMATS, REPEAT_MAX, TOKENS_MAX, WARMUP_MAX } from "./bench/bench-config.ts";
import { BENCH_EXAMPLES } from "./command-examples.ts";
import type { Make } from "./command-maker.ts";
import { counts, oneOf, rates, runTime, split, whole } from "./flag-values.ts";

export function benchCommand(make: Make): void {
  const bench = make("bench [what...]", "measure a model, or what a config.yaml says");
  bench.command
    .option(
      "-p, --prompt-tokens <list>",
      "tokens of each prompt; a list makes a grid (512)",
      counts(1, TOKENS_MAX),
    )
    .option("-n, --output-tokens <list>", "tokens of each answer (128)", counts(1, TOKENS_MAX))
    .option("-c, --concurrency <list>", "streams at once (1)", counts(1, CONCURRENCY_MAX))
    .option("-d, --depth <list>", "tokens of context before the prompt (0)", counts(0, TOKENS_MAX))
    .option("--rate <list>", "requests per second instead of streams, poisson", rates)
    .option("--duration <duration>", "how long each run goes on, instead of a number of requests", runTime)
    .option("-r, --repeat <n>", "runs of each cell (5)", whole(1, REPEAT_MAX))
    .option("--warmup <n>", "requests before each cell that do not count (2)", whole(0, WARMUP_MAX))
    .option("--url <url>", "any OpenAI-compatible API, such as http://localhost:8080/v1")
    .option("--api <api>", APIS.join(", "), oneOf(APIS))
    .option("--compare <report>", "compare with this report; `last` is the last complete one")
    .option("-o, --out <folder>", "where reports go (bench)")
    .option("--formats <list>", `of ${FORMATS.join(", ")} (table,json)`, (value) =>
      split(value).map(oneOf(FORMATS)),
    )
    .option("--dry-run", "print what would be measured and how long it would take")
    .option("--resume", "go on with what was interrupted")
    .option("--ci", "print GitHub annotations: limits that broke, warnings, figures")
    .option("--no-pull", "do not fetch the model if it is not here")
    .addHelpText("after", BENCH_EXAMPLES);
  bench.does(async (session, [what], flags) =>
    (await import("./commands/bench.ts")).bench(session, [what ?? []].flat(), flags),
  );
}
