/** One command line from its words to its exit code. */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { CommanderError } from "commander";
import { systemClock } from "#actors/runtime/clock";
import { RestartBudget } from "#actors/runtime/supervision";
import { Problem } from "#protocol/problem";
import { commandLine, type GlobalFlags } from "./command-line.ts";
import { CommandProblem, EXIT, exitCodeOf, usageProblem } from "./exit-code.ts";
import type { BuildFacts } from "./home/build-facts.ts";
import { type Config, type ConfigFlags, configOf, printingOnly, surroundings } from "./home/config.ts";
import type { Session } from "./session.ts";
import { showFailure } from "./terminal/failure.ts";
import { progressOn } from "./terminal/progress.ts";
import { flushed, quietOnClosedPipe, type Terminal, terminalOf } from "./terminal/terminal.ts";

/** Why the work was told to end, and the exit code of that. */
class Interruption extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("interrupted");
    this.exitCode = exitCode;
  }
}

/** Runs one command. Never rejects. */
export async function run(build: BuildFacts, argv: readonly string[]): Promise<number> {
  quietOnClosedPipe();
  const ending = new AbortController();
  endOnSignals(ending);
  const early: Early = {
    terminal: undefined,
    serves: false,
    json: argv.includes("--json"),
    verbose: argv.some((word) => /^(-v+|--verbose)$/.test(word)),
  };
  const fail = (error: unknown) => {
    early.terminal ??= plainTerminal(build);
    showFailure(early.terminal, error, early);
    return exitCodeOf(error);
  };
  const budget = new RestartBudget(BUGS, systemClock);
  const crash = (error: unknown) => {
    const code = fail(error);
    if (!early.serves || !budget.spend()) process.exit(code);
  };
  process.on("uncaughtException", crash);
  process.on("unhandledRejection", crash);
  try {
    await dispatch(build, argv, ending, early);
    return interruptedCode(ending.signal) ?? EXIT.done;
  } catch (error) {
    const interrupted = interruptedCode(ending.signal);
    if (interrupted !== undefined) return interrupted;
    const shown = asUsage(error);
    return shown === undefined ? EXIT.done : fail(shown);
  } finally {
    await flushed();
  }
}

interface Early {
  terminal: Terminal | undefined;
  readonly json: boolean;
  readonly verbose: boolean;
  /** Others depend on this process: a bug in one request must not end it for all. */
  serves: boolean;
}

/** A server that fails more often than this is broken beyond serving. */
const BUGS = { restarts: 20, withinMs: 60_000 };

const interruptedCode = ({ aborted, reason }: AbortSignal): number | undefined =>
  aborted && reason instanceof Interruption ? reason.exitCode : undefined;

/** For a failure before there is a configuration. */
const plainTerminal = (build: BuildFacts): Terminal =>
  terminalOf(configOf({}, printingOnly(surroundings(extraModelFolders(build)))));

/** The first signal asks the command to end, the second ends it. */
function endOnSignals(ending: AbortController): void {
  const on = (signal: NodeJS.Signals, exitCode: number) =>
    process.on(signal, () => {
      if (ending.signal.aborted) process.exit(exitCode);
      ending.abort(new Interruption(exitCode));
    });
  on("SIGINT", EXIT.interrupted);
  on("SIGTERM", EXIT.terminated);
  on("SIGHUP", EXIT.terminated);
}

async function dispatch(
  build: BuildFacts,
  argv: readonly string[],
  ending: AbortController,
  early: Early,
): Promise<void> {
  const program = commandLine({
    version: `exo ${build.version} (${build.commit})`,
    session(flags: GlobalFlags & ConfigFlags): Session {
      const config = configured(flags, build);
      const terminal = terminalOf(config);
      early.terminal = terminal;
      if (flags.timeout !== undefined) {
        systemClock.after(flags.timeout, () => ending.abort(new Interruption(EXIT.timeout)));
      }
      const { json = false, quiet = false, verbose = 0, yes = false } = flags;
      const progress = progressOn(terminal, systemClock, quiet);
      const clock = systemClock;
      return {
        build,
        config,
        terminal,
        progress,
        clock,
        signal: ending.signal,
        json,
        quiet,
        verbose: verbose > 0,
        yes,
      };
    },
  });
  program.hook("preAction", (_, command) => {
    early.serves = command.name() === "serve";
  });
  if (argv.length === 0) return program.outputHelp();
  await program.parseAsync([...argv], { from: "user" });
}

/** A configuration that cannot be read is a wrong use, wherever it stands. */
function configured(flags: ConfigFlags, build: BuildFacts): Config {
  try {
    return configOf(flags, surroundings(extraModelFolders(build)));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { message, remedy, param } = error;
    const more = { ...(remedy !== undefined && { remedy }), ...(param !== undefined && { param }) };
    throw new CommandProblem(EXIT.usage, message, { ...more, cause: error });
  }
}

/** Help is no failure; what commander finds wrong is a wrong use, with its guess as what to do. */
function asUsage(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  if (error.exitCode === 0 || error.code === "commander.help") return undefined;
  const [, message = error.message, guess] =
    /^(?:error: )?([^\n]*)\n?(?:\(Did you mean (.*)\?\))?/s.exec(error.message) ?? [];
  return usageProblem(
    message,
    guess ? `did you mean ${guess}?` : "exo help lists the commands, exo help COMMAND its flags",
  );
}

/**
 * Models that a source build fetched lie in `.cache/models` of the tree, which is `../.cache/models` from the folder of
 * `dist/exo`; a binary that was copied elsewhere has none there.
 */
function extraModelFolders({ sourceTree }: BuildFacts): readonly string[] {
  const tree = sourceTree ?? join(dirname(realpathSync(process.execPath)), "..");
  const folder = join(tree, ".cache", "models");
  return existsSync(folder) ? [folder] : [];
}
