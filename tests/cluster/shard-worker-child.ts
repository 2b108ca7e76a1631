/** A real shard worker's process: `bun shard-worker-child.ts NAME PARENT`. */
import { runShardWorker } from "#actors/shard-worker/worker-main";
import { builtFolder } from "#ffi/built-library";

const [, , name = "", parent = ""] = process.argv;
runShardWorker(name, parent, builtFolder);
