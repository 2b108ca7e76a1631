/** Runs the command line as a user does, from source or compiled, each time with a home of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dir, "..", "..");
export const fromSource = [process.execPath, join(root, "actors/supervisor/main.ts")];
export const compiled = [join(root, "dist/exo")];

/** A folder that goes when the scope ends. */
export function freshFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "exo-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly home: string;
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly folder?: string;
}

/** The environment of a user with an empty home; port 0 keeps an exo that really runs here out of the test. */
export const environmentOf = (
  home: string,
  env: Readonly<Record<string, string>> = {},
): Record<string, string> => ({
  PATH: process.env.PATH ?? "",
  HOME: home,
  EXO_HOME: join(home, "exo"),
  EXO_PORT: "0",
  TERM: "xterm-256color",
  ...env,
});

/** For a test that ends it itself. */
export const started = (
  args: readonly string[],
  { home, command = fromSource, env, stdin, folder }: RunOptions,
) =>
  Bun.spawn([...command, ...args], {
    env: environmentOf(home, env),
    cwd: folder ?? home,
    stdin: new Blob([stdin ?? ""]),
    stdout: "pipe",
    stderr: "pipe",
  });

export async function exo(args: readonly string[], options: RunOptions): Promise<Ran> {
  const child = started(args, options);
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
}
