/** The way between a process and its child, when something fails on it: real processes, real sockets. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import { CHILD_FD, ChildLink } from "#actors/runtime/transport/child";
import { type Exited, startWorker } from "#actors/supervisor/instance/workers";
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import { bytes } from "./ear.ts";
import { pass } from "./relay-world.ts";

setDefaultTimeout(180_000);

/** A process with this program, and what its link ends with. */
function child(command: readonly string[], stays: boolean) {
  const started = Bun.spawn([process.execPath, ...command], {
    stdio: ["ignore", "ignore", "inherit", "socket-fd"],
  });
  const fd = started.stdio[CHILD_FD];
  if (typeof fd !== "number") throw new Error("no way to the child");
  const { promise: ended, resolve } = Promise.withResolvers<Error | undefined>();
  return { link: new ChildLink(fd, { ended: resolve, stays }), ended, started };
}

const relayWorker = (name: string) => [`${import.meta.dir}/relay-worker.ts`, name, "home"];
const to = (name: string): Envelope => ({
  to: `${name}/shard-worker` as Address,
  from: "home/asker" as Address,
  message: pass(0, "echo"),
});

describe("a link between a process and its child", () => {
  test("ends with what was thrown by who takes what came", async () => {
    const { link, ended, started } = child(relayWorker("worker-x"), false);
    const ours = new TypeError("ours");
    link.onReceive = () => {
      throw ours;
    };
    link.send(to("worker-x"));
    const error = await ended;
    await started.exited;
    expect({ error, status: started.exitCode }).toEqual({ error: ours, status: 70 });
  });

  test("of which the other process dies in the middle of a body is one that has ended, and nothing more", async () => {
    // The head of a body of 1 MiB and its first bytes, and what was sent to it is never read.
    const program = `require("node:fs").writeSync(3, Buffer.from([0, 16, 0, 0, 2, 0, 0, 0])); process.kill(process.pid, "SIGKILL");`;
    const { link, ended } = child(["-e", program], true);
    link.send({ ...to("worker-x"), body: bytes(100_000, 0) });
    expect(await ended).toBeUndefined();
  });
});

test("a worker that waited for others in vain and ended itself says so, and is not taken for one that crashed", async () => {
  const ended = async (status: number) => {
    const program = `console.error("rank 0 of 2 waited 30 s for the sums of the others"); process.exit(${status})`;
    const { promise, resolve } = Promise.withResolvers<Parameters<Exited>>();
    const command = { command: [process.execPath, "-e", program], env: process.env };
    startWorker(command, [], systemClock, (...why) => resolve(why));
    return await promise;
  };
  expect([await ended(75), await ended(70)]).toEqual([
    ["the worker ended itself: rank 0 of 2 waited 30 s for the sums of the others", "lost"],
    ["the worker ended with status 70: rank 0 of 2 waited 30 s for the sums of the others", undefined],
  ]);
});

describe("a worker to which something of this process fails", () => {
  const said: string[] = [];
  let error: ReturnType<typeof spyOn>;
  beforeEach(() => {
    said.length = 0;
    error = spyOn(console, "error").mockImplementation((text: string) => void said.push(text));
  });
  afterEach(() => error.mockRestore());

  test("is ended, and the log has the error's stack; neither it nor memory is blamed", async () => {
    const { promise: exited, resolve } = Promise.withResolvers<string>();
    const { link } = startWorker(
      { command: [process.execPath], env: process.env },
      relayWorker("worker-y"),
      systemClock,
      resolve,
    );
    link.onReceive = () => {
      throw new TypeError("ours");
    };
    link.send(to("worker-y"));
    expect({ why: await exited, said: said.map((text) => text.split("\n").slice(0, 2)) }).toEqual({
      why: "the worker was ended, as exo itself failed to hear it: ours",
      said: [
        [
          expect.stringMatching(/^exo itself failed to hear worker \d+, which is ended: TypeError: ours$/),
          expect.stringContaining("child.test.ts"),
        ],
      ],
    });
  });
});
