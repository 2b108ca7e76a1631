/** Runs beside an exo and prints what it sees whenever that is another: `bun watcher.ts URL`. */
import { view } from "./processes.ts";

const LOOK_EVERY_MS = 20;

async function watch(url: string): Promise<never> {
  const nodes = async () => JSON.parse(await (await fetch(`${url}/exo/v1/cluster`)).text()).nodes;
  for (let before = ""; ; ) {
    const now = JSON.stringify(await view({ nodes }));
    if (now !== before) console.info(now);
    before = now;
    await Bun.sleep(LOOK_EVERY_MS);
  }
}

await watch(process.argv[2] ?? "");
