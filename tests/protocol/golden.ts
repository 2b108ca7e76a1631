/** `bun run golden`: writes down the bytes of messages that are new in this version. What is written already is never changed. */
import { MINOR_VERSION } from "#protocol/hello";
import { type Golden, goldenFile, spoken } from "./spoken.ts";

const file = Bun.file(goldenFile(MINOR_VERSION));
const known: Golden = (await file.exists()) ? await file.json() : {};
const all = { ...(await spoken()), ...known };
const sorted = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
await Bun.write(file, `${JSON.stringify(sorted, undefined, 1)}\n`);
console.log(
  `${Object.keys(sorted).length - Object.keys(known).length} messages were added to 1.${MINOR_VERSION}`,
);
