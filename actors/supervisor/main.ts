/** Runs the command line from source; the compiled binary has an entry of its own, made by build.ts. */
import { join, resolve } from "node:path";
import { cli } from "./cli.ts";

const root = resolve(import.meta.dir, "..", "..");
const { version }: { version: string } = await Bun.file(join(root, "package.json")).json();
await cli({ version, commit: "source", sourceTree: root });
