/**
 * How soon the nodes of one segment see each other, and what they say at rest: bun run segment [nodes] [seconds of rest].
 * Linux with user namespaces; the compiled binary. Ends with 1 above the limits.
 */
import { compiled } from "../cli/exo.ts";
import { discovering } from "./discovering.ts";

const [nodes = "20", rest = "60"] = process.argv.slice(2);
const found = await discovering(Number(nodes), { command: compiled, restSeconds: Number(rest) });
console.log(JSON.stringify(found));
const bad = found.allPairsMs > 3000 || found.sentBytesPerSecond > 5000 || found.receivedBytesPerSecond > 5000;
process.exit(bad ? 1 : 0);
