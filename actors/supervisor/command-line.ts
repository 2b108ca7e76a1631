/** Every command and flag, and nothing else: what they do is loaded when one is chosen. */
import { Command } from "commander";
import { STRATEGIES } from "#actors/planner/home";
import { SCOPES } from "#protocol/api-key";
import { BACKEND_WISHES } from "#protocol/collective";
import { HIDDEN_WISHES } from "#protocol/pass";
import { CONCURRENCY_MAX } from "./bench/bench-config.ts";
import { benchCommand } from "./bench-command.ts";
import { FIRST_STEPS, JOIN_EXAMPLES, KEY_EXAMPLES, RUN_EXAMPLES } from "./command-examples.ts";
import type { Act, Argument, CommandFlags, Made, Make } from "./command-maker.ts";
import { SPLITS } from "./commands/wish.ts";
import { duration, gathered, gatheredLists, names, number, oneOf, split, whole } from "./flag-values.ts";
import type { ConfigFlags } from "./home/config.ts";
import type { Session } from "./session.ts";

export interface GlobalFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: number;
  readonly yes?: boolean;
  /** Milliseconds. */
  readonly timeout?: number;
}

export interface CommandLineOptions {
  /** What `--version` prints. */
  readonly version: string;
  /** Called once a command is chosen, with all its flags. */
  readonly session: (flags: GlobalFlags & ConfigFlags) => Session;
}

/** Throws CommanderError for a wrong use and for help; never ends the process or writes to stderr itself. */
export function commandLine(options: CommandLineOptions): Command {
  const program = new Command("exo")
    .description("Turns the computers people own into one AI machine.")
    .usage("COMMAND [flags]")
    .version(options.version, "-V, --version", "print the version")
    .option("--host <url>", "talk to the exo there (EXO_HOST)")
    .option("--json", "one JSON object instead of text")
    .option("-q, --quiet", "no progress; tables print names only")
    .option("-v, --verbose", "say more", (_, before: number) => before + 1, 0)
    .option("--no-color", "no colours (NO_COLOR)")
    .option("-y, --yes", "answer questions with yes")
    .option("--timeout <duration>", "give up after so long: 90, 90s, 5m (exit code 124)", duration)
    .option("--config <file>", "read this exo.yaml alone")
    .helpOption("-h, --help", "show help")
    .addHelpText("after", FIRST_STEPS)
    .helpCommand("help [command]", "show help of a command")
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  const make = (signature: string, description: string): Made => {
    const command = program
      .command(signature, { hidden: signature.startsWith("__") })
      .description(description)
      .copyInheritedSettings(program);
    const does = (act: Act) => {
      command.action((...given: unknown[]) => {
        const flags: CommandFlags = command.optsWithGlobals();
        return act(options.session(flags), given.slice(0, -2) as Argument[], flags);
      });
    };
    return { command, does };
  };
  modelCommands(make);
  serverCommands(make);
  machineCommands(make);
  benchCommand(make);
  return program;
}

/** By what tensor ranks add up. */
const BACKEND = [
  "--backend <backend>",
  `of tensor ranks: ${BACKEND_WISHES.join(", ")}`,
  oneOf(BACKEND_WISHES),
] as const;

/** Between the stages of a pipeline. */
const HIDDEN = [
  "--hidden <form>",
  "hidden states between machines: full, or 8bit (half the bytes, other tokens now and then)",
  oneOf(HIDDEN_WISHES),
] as const;

function modelCommands(make: Make): void {
  const run = make(
    "run [model] [prompt...]",
    "chat with a model, or answer once when a prompt or stdin is given",
  );
  run.command
    .option("-m, --model <model>", "the model, if not named first")
    .option("--system <text>", "system prompt")
    .option("--raw", "continue the text as it is, without chat template")
    .option("--temp <t>", "temperature up to 2; 0 always takes the likeliest token", number(0, 2))
    .option("--top-p <p>", "keep the likeliest tokens up to this probability", number(0, 1))
    .option("--top-k <k>", "keep so many of the likeliest tokens; 0 keeps all", whole(0))
    .option("--min-p <p>", "drop tokens below this share of the likeliest", number(0, 1))
    .option("--seed <n>", "same seed, same answer", whole(Number.MIN_SAFE_INTEGER))
    .option("--max-tokens <n>", "longest answer", whole(1))
    .option("--stop <text>", "end the answer before this text (repeatable)", gathered)
    .option("--ctx <n>", "tokens of context", whole(1))
    .option("--nodes <list>", "on these machines of the home together, separated by commas", names)
    .option("--min-nodes <n>", "on at least so many machines of the home", whole(1))
    .option("--strategy <strategy>", SPLITS.join(", "), oneOf(SPLITS))
    .option(...BACKEND)
    .option(...HIDDEN)
    .option("--no-pull", "do not fetch the model if it is not here")
    .option("--stats", "print counts and speed after the answer, on stderr")
    .option("--plain", "print the answer as the model wrote it, without rendering Markdown")
    .addHelpText("after", RUN_EXAMPLES);
  run.does(async (session, [model, prompt], flags) =>
    (await import("./commands/run.ts")).run(session, { ...flags, given: [model ?? [], prompt ?? []].flat() }),
  );
  const pull = make("pull <model...>", "fetch models from the hub; goes on where it stopped");
  pull.command.option("--verify", "only check the files that are here against their hashes (exit code 9)");
  pull.does(async (session, [models], flags) =>
    (await import("./commands/pull.ts")).pull(session, [models ?? []].flat(), flags),
  );
  const ls = make("ls", "list the models on this machine");
  ls.command.alias("list");
  ls.does(async (session) => (await import("./commands/ls.ts")).ls(session));
  make("show <model>", "what a model is and where its files are").does(async (session, [model]) =>
    (await import("./commands/show.ts")).show(session, String(model)),
  );
  planCommand(make);
  const rm = make("rm <model...>", "delete models from this machine");
  rm.command.alias("remove");
  rm.does(async (session, [models]) => (await import("./commands/rm.ts")).rm(session, [models ?? []].flat()));
}

function planCommand(make: Make): void {
  const plan = make("plan <model>", "where a model could run in this home, how fast, and why not elsewhere");
  plan.command
    .option("--ctx <n>", "tokens of context", whole(1))
    .option("-c, --concurrency <n>", "answers at once (1)", whole(1, CONCURRENCY_MAX))
    .option("--nodes <list>", "these machines only, separated by commas", names)
    .option("--min-nodes <n>", "at least so many machines", whole(1))
    .option("--strategy <strategy>", STRATEGIES.join(", "), oneOf(STRATEGIES))
    .option(...BACKEND)
    .option(...HIDDEN)
    .option(
      "--measure",
      "machines that do not know how fast they are with it measure that first, for seconds",
    )
    .option("--explain", "also why other placements were rejected");
  plan.does(async (session, [model], flags) =>
    (await import("./commands/plan.ts")).showPlan(session, String(model), flags),
  );
}

function serverCommands(make: Make): void {
  const serve = make("serve", "serve the API in the foreground");
  serve.command
    .option("--port <n>", "port to listen on; 0 takes a free one (EXO_PORT, 52415)", whole(0, 65_535))
    .option("--bind <address>", "address to listen on (this machine's own); others need keys: exo key create")
    .option("--key <key>", "one more key, that may do everything (EXO_API_KEY)")
    .option("--tls-cert <file>", "own certificate (PEM) for the network, with --tls-key; else one is made")
    .option("--tls-key <file>", "its key (PEM)")
    .option("--plain-http", "no TLS: everybody in the network may read along")
    .option("--require-key", "programs of this machine need a key too")
    .option(
      "--hosts <list>",
      "more names that clients call this machine, separated by commas (EXO_HOSTS)",
      split,
    )
    .option("--origins <list>", "web origins allowed to call, separated by commas (EXO_ORIGINS)", split)
    .option("-m, --model <model>", "load this model at once (repeatable)", gathered)
    .option("--ctx <n>", "tokens of context", whole(1))
    .option(...BACKEND)
    .option(...HIDDEN)
    .option("--no-pull", "do not fetch models that are not here")
    .option("--namespace <name>", "see only machines of this namespace (EXO_NAMESPACE)")
    .option(
      "--peers <list>",
      "host:port of machines that this network does not show, separated by commas",
      split,
    )
    .option("--list-peers", "print the machines nearby, and end")
    .option("--no-discovery", "do not look for other machines");
  serve.does(async (session, _, flags) =>
    flags.listPeers
      ? (await import("./commands/list-peers.ts")).listPeers(session)
      : (await import("./commands/serve.ts")).serve(session, flags),
  );
  const nodes = make("nodes", "the machines of this home, and those nearby");
  nodes.command.alias("cluster").option("-w, --watch", "show it again whenever it changes");
  nodes.does(async (session, _, flags) => (await import("./commands/nodes.ts")).nodes(session, flags));
  pairingCommands(make);
  const links = make("links", "how fast the machines of this home reach each other");
  links.command
    .option("--measure", "measure all links anew first; one that is at work stays as it was")
    .option("--matrix", "one row and one column for each machine");
  links.does(async (session, _, flags) => (await import("./commands/links.ts")).links(session, flags));
  make(
    "node <name> [action] [words...]",
    "rename, label, drain, resume, exclude or forget a machine, or give it a role",
  ).does(async (session, [name, action, words]) => {
    if (name === "reset-identity" && action === undefined)
      return (await import("./commands/reset-identity.ts")).resetIdentity(session);
    const said = [action ?? [], words ?? []].flat();
    return (await import("./commands/node.ts")).node(session, String(name), said);
  });
  make("rotate-key", "give this home another key, and each machine another certificate").does(
    async (session) => (await import("./commands/rotate-key.ts")).rotateKey(session),
  );
  heldCommands(make);
}

function heldCommands(make: Make): void {
  const rebalance = make("rebalance <model>", "move a model of several machines to where it is faster now");
  rebalance.command
    .option("--nodes <list>", "to these machines, separated by commas", split)
    .option("--min-nodes <n>", "to at least so many machines", whole(1))
    .option("--strategy <strategy>", SPLITS.join(", "), oneOf(SPLITS))
    .option(...BACKEND)
    .option(...HIDDEN);
  rebalance.does(async (session, [model], flags) =>
    (await import("./commands/rebalance.ts")).rebalance(session, String(model), flags),
  );
  make("ps", "models in memory").does(async (session) => (await import("./commands/ps.ts")).ps(session));
  const stop = make("stop [model]", "unload a model");
  stop.command.option("--all", "unload every model").option("--now", "cut answers short");
  stop.does(async (session, [model], flags) =>
    (await import("./commands/stop.ts")).stop(
      session,
      model === undefined ? undefined : String(model),
      flags,
    ),
  );
}

function pairingCommands(make: Make): void {
  const invite = make("invite", "let one machine into this home, by a short code");
  invite.command
    .option("--ttl <duration>", "how long the code is good (15m)", duration)
    .option("--qr", "draw the code for a camera, also where stdout is no terminal")
    .option("--role <role>", "worker: it computes, and neither votes nor changes anything (full)")
    .option("--secret", "make a secret by which all machines that have it pair by themselves");
  invite.does(async (session, _, flags) => (await import("./commands/invite.ts")).invite(session, flags));
  const join = make("join <code> [address]", "bring this machine into another's home");
  join.command
    .option("--name <name>", "how this machine is called there")
    .addHelpText("after", JOIN_EXAMPLES);
  join.does(async (session, [code, address], flags) =>
    (await import("./commands/join.ts")).join(
      session,
      String(code),
      address === undefined ? undefined : String(address),
      flags,
    ),
  );
}

function machineCommands(make: Make): void {
  const key = make("key <action> [name]", "keys of the API: create, list, revoke");
  key.command
    .option("--name <name>", "what it is for")
    .option("--scope <list>", `of ${SCOPES.join(", ")}, or all (infer,models.read)`, gatheredLists)
    .addHelpText("after", KEY_EXAMPLES);
  key.does(async (session, [action, name], flags) =>
    (await import("./commands/key.ts")).key(session, [String(action), name?.toString()], flags),
  );
  make("version", "print version and commit").does(async (session) =>
    (await import("./commands/version.ts")).version(session),
  );
  const doctor = make("doctor", "check this machine and say what to do");
  doctor.command.option("--online", "also ask the model hub");
  doctor.does(async (session, _, flags) => (await import("./commands/doctor.ts")).doctor(session, flags));
  make("debug <what>", "what goes on inside the running exo: trace").does(async (session, [what]) =>
    (await import("./commands/debug.ts")).debug(session, String(what)),
  );
  make("completion <shell>", "print a completion script for bash, zsh or fish").does(
    async (session, [shell]) => (await import("./commands/completion.ts")).completion(session, String(shell)),
  );
  make("__complete [words...]", "").does(async (session, [words]) =>
    (await import("./commands/completion.ts")).complete(session, [words ?? []].flat()),
  );
}
