/** `bun run fuzz:frames [--runs 1000000] [--seed N] [--only NAME]`: every parser of what other machines send, on bytes of a seed. */
import { fuzz, GROWTH_MAX_BYTES } from "./one-parser.ts";
import { targets } from "./targets.ts";

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};
const runs = Number(option("runs") ?? 1_000_000);
const seed = Number(option("seed") ?? Math.floor(Math.random() * 2 ** 31));
const only = option("only");
console.log(`seed ${seed}, ${runs} runs each (again: bun run fuzz:frames --seed ${seed} --runs ${runs})`);
let failed = false;
for (const target of await targets()) {
  if (only && !target.name.includes(only)) continue;
  const startMs = performance.now();
  const { taken, bug, grownBytes } = fuzz(target, seed, runs);
  const perRunUs = ((performance.now() - startMs) * 1000) / runs;
  const grown = grownBytes > GROWTH_MAX_BYTES;
  failed ||= bug !== undefined || grown;
  console.log(
    bug
      ? `${target.name}: fell over ${bug}`
      : `${target.name}: ${taken} of ${runs} taken, ${perRunUs.toFixed(2)} us each, memory ${grown ? "GREW" : "flat"} (${(grownBytes / 1e6).toFixed(1)} MB)`,
  );
}
process.exit(failed ? 1 : 0);
