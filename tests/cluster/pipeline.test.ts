/** SmolLM2 over two machines: real workers in processes of their own, real TLS between their machines. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { World } from "../runtime/relay-world.ts";
import { Part } from "./worker-group.ts";

const SLOWEST_MS = 240_000;
const PROMPT = {
  type: "messages" as const,
  messages: [{ role: "user" as const, content: "What is the capital of France?" }],
};

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

test(
  "two machines answer as one does, in one epoch and the next, and say when one of them is lost",
  async () => {
    const [a, b] = await world.two();
    const whole = await Part.loaded(await world.machine(), "worker-whole");
    const alone = await whole.answer("alone", PROMPT);
    const first = await Part.loaded(a, "worker-first", { layers: { start: 0, end: 17 } });
    const last = await Part.loaded(b, "worker-last", { layers: { start: 17, end: 30 } });
    await Part.join([first, last], 5);
    const together = await last.answer("together", PROMPT);
    await Part.join([first, last], 6);
    const again = await last.answer("again", PROMPT);
    const cutOff = last.answer("cut off", PROMPT, { maxTokens: 400, ignoreEos: true });
    first.worker.signal("SIGKILL");
    const parted = await last.until((reply) =>
      reply.type === "ShardWorkerReply.Parted" ? reply.epoch : undefined,
    );
    expect([together, again, parted, typeof (await cutOff)]).toEqual([alone, alone, 6, "string"]);
  },
  SLOWEST_MS,
);
