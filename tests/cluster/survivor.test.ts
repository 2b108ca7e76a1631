/** One of two workers of a model dies, as processes: what the other machine holds stays in memory, and the answer goes on. */
import { setDefaultTimeout, test } from "bun:test";
import { heldAt } from "../e2e/product.ts";
import { expectIn, homeOf } from "./home-of.ts";
import { streamed } from "./streams.ts";

setDefaultTimeout(180_000);

const KILLED_AT = 20;

test("a worker that survives goes on with its layers, whichever end of the model it has", async () => {
  await using home = await homeOf("ada", "bob");
  const { all } = home;
  const [ada] = all;
  const body = JSON.stringify({ model: "smollm2", nodes: ["ada", "bob"] });
  const placed = await fetch(`${ada.url}/exo/v1/load`, { method: "POST", body });
  const pids = () =>
    Promise.all(
      all.map(async ({ url }) => {
        const [held] = await heldAt(url);
        return held?.pid ?? 0;
      }),
    );
  const whole = await streamed(ada.url, () => {});
  const outcomes: unknown[] = [];
  for (const victim of [1, 0]) {
    const before = await pids();
    const cut = await streamed(ada.url, (count) => {
      if (count === KILLED_AT) process.kill(before[victim] ?? 0, "SIGKILL");
    });
    const after = await pids();
    outcomes.push([
      cut.text === whole.text || [whole, cut],
      cut.problem,
      all.map((_, at) => before[at] === after[at]),
    ]);
  }
  const survived = [
    [true, "", [true, false]],
    [true, "", [false, true]],
  ];
  expectIn(all, { placed: placed.status, outcomes }, { placed: 200, outcomes: survived });
});
