/** A process that pulls `tiny` from the hub at argv[2] into argv[3], printing its progress, to be killed in the middle. */
import { systemClock } from "#actors/runtime/clock";
import { freeBytes, pull } from "#actors/shard-worker/weights/pull";
import { hasty } from "./world.ts";

const [, , endpoint = "", hubFolder = ""] = process.argv;
const { path } = await pull("mlx/tiny-4bit", {
  hub: { endpoint, offline: false },
  places: {
    hubFolders: [hubFolder],
    modelFolders: [],
    extraModelFolders: [],
    aliases: [],
    cwd: "/",
    home: "/",
  },
  ports: { fetch, clock: hasty(systemClock), freeBytes },
  onProgress: (event) => console.log(JSON.stringify(event)),
});
console.log(path);
