/** `exo serve` as a child of a test. */
import { environmentOf, fromSource } from "./exo.ts";

/** Once it is ready, on a free port; killed when the scope ends. Throws what it said when it did not get so far. */
export async function serving(
  home: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
) {
  const child = Bun.spawn([...fromSource, "serve", "--port", "0", "--json", "--no-discovery", ...args], {
    env: environmentOf(home, env),
    cwd: home,
    stdout: "pipe",
    stderr: "pipe",
  });
  const { value } = await child.stdout.getReader().read();
  const line = new TextDecoder().decode(value);
  if (line === "") throw new Error(await new Response(child.stderr).text());
  const ready: { readonly url: string; readonly [field: string]: unknown } = JSON.parse(line);
  return {
    child,
    ready,
    url: ready.url,
    port: new URL(ready.url).port,
    pid: child.pid,
    /** Kills it: what it said to people. */
    async ended() {
      child.kill("SIGKILL");
      return await new Response(child.stderr).text();
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
