/** `exo completion`: a script for the shell; names of models and commands come from the hidden `exo __complete`. */
import { CommandProblem, EXIT } from "../exit-code.ts";
import { nearest } from "../nearest.ts";
import { storedModels } from "../node/models.ts";
import type { Session } from "../session.ts";

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `# exo completion for bash; put into ~/.bashrc: source <(exo completion bash)
_exo() {
  local IFS=$'\\n'
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=($(exo __complete -- "\${words[@]}" 2>/dev/null))
  if [ \${#COMPREPLY[@]} -eq 0 ]; then compopt -o default; fi
}
complete -F _exo exo
`,
  zsh: `#compdef exo
# exo completion for zsh; put into ~/.zshrc: source <(exo completion zsh)
_exo() {
  local -a found
  found=("\${(@f)$(exo __complete -- "\${words[@]:1:$((CURRENT-1))}" 2>/dev/null)}")
  if [[ -n "\${found[*]}" ]]; then compadd -- "\${found[@]}"; else _files; fi
}
compdef _exo exo
`,
  fish: `# exo completion for fish; put into ~/.config/fish/completions/exo.fish
function __exo_complete
  set -l words (commandline -opc) (commandline -ct)
  exo __complete -- $words[2..-1] 2>/dev/null
end
complete -c exo -f -a '(__exo_complete)'
`,
};

export async function completion({ terminal }: Session, shell: string): Promise<void> {
  const script = SCRIPTS[shell];
  if (script !== undefined) return terminal.out(script);
  const near = nearest(shell, Object.keys(SCRIPTS));
  const remedy = near ? `did you mean ${near}?` : "bash, zsh or fish";
  throw new CommandProblem(EXIT.usage, `there is no completion for ${shell}`, { remedy });
}

const COMMANDS = [
  "run",
  "pull",
  "ls",
  "show",
  "plan",
  "rm",
  "serve",
  "nodes",
  "links",
  "ps",
  "stop",
  "node",
  "invite",
  "join",
  "key",
  "bench",
  "version",
  "doctor",
  "completion",
  "help",
];
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  run: [
    "--model",
    "--system",
    "--raw",
    "--temp",
    "--top-p",
    "--top-k",
    "--min-p",
    "--seed",
    "--max-tokens",
    "--stop",
    "--ctx",
    "--no-pull",
    "--stats",
    "--plain",
  ],
  serve: ["--port", "--bind", "--key", "--origins", "--model", "--ctx", "--no-pull", "--no-discovery"],
  stop: ["--all", "--now"],
  doctor: ["--online"],
  bench: [
    "--prompt-tokens",
    "--output-tokens",
    "--concurrency",
    "--depth",
    "--rate",
    "--duration",
    "--repeat",
    "--warmup",
    "--url",
    "--api",
    "--compare",
    "--out",
    "--formats",
    "--dry-run",
    "--resume",
    "--ci",
    "--no-pull",
  ],
};
const EVERYWHERE = [
  "--host",
  "--json",
  "--quiet",
  "--verbose",
  "--no-color",
  "--yes",
  "--timeout",
  "--config",
  "--help",
];
const TAKES_MODEL = ["run", "show", "rm", "stop", "pull", "bench"];

/** What may stand where the last of `words` is being typed, one a line. Says nothing rather than failing. */
export async function complete(session: Session, words: readonly string[]): Promise<void> {
  const [command = "", ...rest] = words;
  const last = rest.at(-1) ?? command;
  const candidates = rest.length === 0 ? COMMANDS : await inside(session, command, rest);
  session.terminal.out(
    candidates
      .filter((each) => each.startsWith(last))
      .map((each) => `${each}\n`)
      .join(""),
  );
}

async function inside(
  session: Session,
  command: string,
  rest: readonly string[],
): Promise<readonly string[]> {
  const last = rest.at(-1) ?? "";
  const namesModel = ["--model", "-m"].includes(rest.at(-2) ?? "");
  if (last.startsWith("-") && !namesModel) return [...(FLAGS[command] ?? []), ...EVERYWHERE];
  if (command === "completion") return Object.keys(SCRIPTS);
  if (command === "help") return COMMANDS;
  if (!namesModel && !TAKES_MODEL.includes(command)) return [];
  if (command === "run" && rest.length > 1 && !namesModel) return [];
  const stored = (await storedModels(session)).map(({ name }) => name);
  return [...new Set([...Object.keys(session.config.models.aliases), ...stored])];
}
