/** `exo key`: makes, lists and revokes keys of the HTTP API. */
import { type ApiKey, SCOPES, type Scope } from "#protocol/api-key";
import { Problem } from "#protocol/problem";
import { usageProblem } from "../exit-code.ts";
import { createKey, isKept, listKeys, revokeKey } from "../home/key-store.ts";
import { nearest } from "../nearest.ts";
import { printJson, type Session } from "../session.ts";
import { shownAge, table } from "../terminal/table.ts";

export interface KeyFlags {
  readonly name?: string;
  readonly scope?: readonly string[];
}

/** What chats and editors need; whoever needs more says so. */
const USUAL: readonly Scope[] = ["infer", "models.read"];
const NAME_CHARS_MAX = 64;

export async function key(
  session: Session,
  [action, word]: readonly (string | undefined)[],
  flags: KeyFlags,
): Promise<void> {
  switch (action) {
    case "create":
      return await create(session, flags.name ?? word ?? "unnamed", scopesOf(flags.scope));
    case "list":
    case "ls":
      return await list(session);
    case "revoke":
    case "rm":
      return await revoke(session, flags.name ?? word);
    default:
      throw usageProblem(`exo key knows no ${action}`, "exo key create, exo key list or exo key revoke NAME");
  }
}

async function create(session: Session, name: string, scopes: readonly Scope[]): Promise<void> {
  const { config, clock, terminal, json } = session;
  if (name.length > NAME_CHARS_MAX || !/^[\w.@ -]+$/.test(name)) {
    const remedy = `use up to ${NAME_CHARS_MAX} letters, digits, spaces and . _ - @`;
    throw usageProblem(`${JSON.stringify(name)} is no name for a key`, remedy);
  }
  const nowSeconds = clock.epochSeconds();
  const { key: made, text } = await createKey(config.home, { name, scopes, nowSeconds });
  if (json) return printJson(session, "key.create", { ...shown(made), key: text });
  terminal.out(`${text}\n`);
  terminal.err(
    `the key "${name}" (${made.scopes.join(", ")}) is shown this once; take it back with: exo key revoke ${made.id}\n`,
  );
}

async function list(session: Session): Promise<void> {
  const { config, clock, terminal, json, quiet } = session;
  const keys = await listKeys(config.home);
  if (json) return printJson(session, "key.list", { keys: keys.map(shown) });
  if (quiet) return terminal.out(keys.map(({ id }) => `${id}\n`).join(""));
  if (keys.length === 0) return terminal.err("no keys yet; make one: exo key create NAME\n");
  const now = clock.epochSeconds();
  const rows = keys.map(({ id, name, scopes, createdAt }) => [
    id,
    name,
    scopes.join(" "),
    shownAge(now - createdAt),
  ]);
  const width = terminal.outIsTerminal ? { width: terminal.columns() } : {};
  terminal.out(table(["id", "name", "scopes", "made"], rows, width));
}

async function revoke(session: Session, word: string | undefined): Promise<void> {
  const { config, terminal, json } = session;
  if (word === undefined)
    throw usageProblem("exo key revoke needs an id or a name", "exo key list shows them");
  const id = isKept(config.home, word) ? word : await idOf(config.home, word);
  await revokeKey(config.home, id);
  if (json) return printJson(session, "key.revoke", { id });
  terminal.err(`the key ${word} is no key any more; streams that it opened end within a second\n`);
}

async function idOf(home: string, name: string): Promise<string> {
  const keys = await listKeys(home);
  const [found, ...others] = keys.filter((each) => each.name === name);
  if (!found) {
    const near = nearest(
      name,
      keys.flatMap((each) => [each.name, each.id]),
    );
    const remedy = near ? `did you mean ${near}?` : "exo key list shows them";
    throw new Problem("notFound", `there is no key ${name}`, { remedy });
  }
  if (others.length === 0) return found.id;
  const ids = [found, ...others].map((each) => each.id).join(", ");
  throw usageProblem(`${others.length + 1} keys have the name ${name}`, `say which by its id: ${ids}`);
}

function scopesOf(words: readonly string[] | undefined): readonly Scope[] {
  if (words === undefined) return USUAL;
  if (words.includes("all")) return SCOPES;
  return words.map((word) => {
    const scope = SCOPES.find((each) => each === word);
    if (scope) return scope;
    throw usageProblem(`${JSON.stringify(word)} is no scope`, `there are ${SCOPES.join(", ")}, and all`);
  });
}

/** Without the hash: it is nobody's business. */
const shown = ({ id, name, scopes, createdAt }: ApiKey) => ({ id, name, scopes, createdAt });
