/** SmolLM2 whose layers three machines share: real workers in processes of their own, real TLS between their machines. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { World } from "../runtime/relay-world.ts";
import { Part } from "./worker-group.ts";

const SLOWEST_MS = 240_000;
const PROMPT = {
  type: "messages" as const,
  messages: [{ role: "user" as const, content: "What is the capital of France?" }],
};
/** Nine heads and three key-value heads are for three ranks. */
const RANKS = 3;

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

/** Machines of one home, each linked to both others. */
async function three() {
  const [a, b] = await world.two();
  const c = await world.machine();
  await a.join(c);
  await b.join(c);
  return [a, b, c];
}

const ranksOn = (machines: Awaited<ReturnType<typeof three>>) =>
  Promise.all(
    machines.map((machine, rank) => Part.loaded(machine, `worker-${rank}`, { rank: [rank, RANKS] })),
  );

test(
  "three ranks answer as one machine does, several at once as well, and say when one of them is lost",
  async () => {
    const machines = await three();
    const whole = await Part.loaded(await world.machine(), "worker-whole");
    const alone = await whole.answer("alone", PROMPT);
    const ranks = await ranksOn(machines);
    await Part.join(ranks, 5, [RANKS]);
    const [, , last] = ranks;
    if (!last) throw new Error("the last rank drives");
    const together = await last.answer("together", PROMPT);
    await Part.join(ranks, 6, [RANKS]);
    const several = await Promise.all(["one", "two", "three"].map((id) => last.answer(id, PROMPT)));
    const cutOff = last.answer("cut off", PROMPT, { maxTokens: 400, ignoreEos: true });
    ranks[0]?.worker.signal("SIGKILL");
    const parted = await last.until((reply) =>
      reply.type === "ShardWorkerReply.Parted" ? reply.epoch : undefined,
    );
    expect([together, several, parted, typeof (await cutOff)]).toEqual([
      alone,
      [alone, alone, alone],
      6,
      "string",
    ]);
  },
  SLOWEST_MS,
);

test(
  "a rank that is stopped is ended by its machine, and those who wait for its sums hear of it",
  async () => {
    const machines = await three();
    const ranks = await ranksOn(machines);
    await Part.join(ranks, 1, [RANKS]);
    const last = ranks.at(-1);
    if (!last) throw new Error("the last rank drives");
    const cutOff = last.answer("cut off", PROMPT, { maxTokens: 400, ignoreEos: true });
    await last.until((reply) => (reply.type === "GenerationReply.Delta" ? true : undefined));
    ranks[0]?.worker.signal("SIGSTOP");
    expect(await cutOff).toContain("was lost");
  },
  SLOWEST_MS,
);
