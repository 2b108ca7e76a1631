/** The long form of the fuzz tests: bun run fuzz [--count N] [--seed N]. Ends with 1 at a finding and prints the seed first. */
import { parseArgs } from "node:util";
import { dialled } from "../security/dials.ts";
import { fuzzDatagrams } from "./datagrams.ts";
import { fuzzPairing } from "./pairing.ts";

const { values } = parseArgs({ options: { count: { type: "string" }, seed: { type: "string" } } });
const count = Number(values.count ?? 1_000_000);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
console.log(`seed ${seed}, ${count} of each`);

/** A dial costs two handshakes; more of one kind find nothing new. */
const DIALS_MAX = 10_000;
const KINDS = 8;
const GROWTH_BYTES_MAX = 8 * 1024 * 1024;
const datagrams = await fuzzDatagrams(count, seed);
console.log("datagrams", datagrams);
const pairing = await fuzzPairing(count, seed);
console.log("pairing", pairing);
const { answered, links, dials } = await dialled(Math.ceil(Math.min(count, DIALS_MAX) / KINDS));
console.log("dials", { dials, answered, links });
const found =
  links > 0 ||
  Object.values(answered).some((each) => each > 0) ||
  datagrams.dials > 0 ||
  datagrams.heapGrowthBytes > GROWTH_BYTES_MAX ||
  datagrams.bytesToUnproven > datagrams.bytesReceived ||
  pairing.letIn > 0 ||
  pairing.heapGrowthBytes > GROWTH_BYTES_MAX;
console.log(found ? "FOUND something" : "nothing found");
process.exit(found ? 1 : 0);
