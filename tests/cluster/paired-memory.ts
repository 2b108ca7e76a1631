/** What two machines hold before and after `exo invite` and `exo join`, as their users see it: processes of the compiled binary. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compiled, environmentOf, exo, freshFolder } from "../cli/exo.ts";
import { started } from "./processes.ts";

/** After a start and after a pairing; what either took is given back within ten seconds of its end, and looked for every ten. */
const SETTLE_MS = 25_000;
const WAIT_MS = 120_000;

/** Megabytes of the machine that holds more, by when. */
export async function pairedMemory(
  residentMB: (pid: number) => number,
): Promise<Readonly<Record<string, number>>> {
  using folder = freshFolder();
  const machine = async (name: string) => {
    const home = join(folder.path, name);
    mkdirSync(join(home, "exo"), { recursive: true });
    writeFileSync(join(home, "exo", "exo.yaml"), `cluster:\n  name: ${name}\n  port: 0\n`);
    const how = { command: compiled, args: ["--namespace", `rest${process.pid}`], watched: false };
    return { home, running: await started({ name, folder: home }, how) };
  };
  const [studio, mini] = [await machine("studio"), await machine("mini")];
  await using host = studio.running;
  await using guest = mini.running;
  const most = () => Math.max(residentMB(host.pid), residentMB(guest.pid));
  await Bun.sleep(SETTLE_MS);
  const unpaired = most();
  await using inviting = Bun.spawn([...compiled, "invite", "--json", "--ttl", "60s"], {
    env: environmentOf(studio.home),
    cwd: studio.home,
    stdout: "pipe",
    stderr: "ignore",
  });
  const line = new TextDecoder().decode((await inviting.stdout.getReader().read()).value);
  const { code, port }: { readonly code: string; readonly port: number } = JSON.parse(line);
  const joined = await exo(["join", code, `127.0.0.1:${port}`], { home: mini.home, command: compiled });
  if (joined.code !== 0) throw new Error(joined.err);
  const atOnce = most();
  await Bun.sleep(SETTLE_MS);
  const soon = most();
  await Bun.sleep(WAIT_MS);
  return { unpaired, atOnce, soon, later: most() };
}
