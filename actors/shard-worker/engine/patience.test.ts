import { expect, test } from "bun:test";
import { Patience } from "./patience.ts";

const chunk = (tokens: number) => ({ isChunk: true, tokens });
const step = { isChunk: false, tokens: 2 };

test("a part of a prompt without tokens changes no wait", () => {
  const patience = new Patience();
  patience.came(chunk(0), 100);
  const first = patience.of([chunk(0)]);
  patience.came(chunk(10), 100);
  patience.came(chunk(0), 0);
  expect([first, patience.of([chunk(512)]), patience.of([chunk(0)])]).toEqual([300_000, 102_400, 10_000]);
});

test("a pass is waited for as long as such a one may take, by what others took", () => {
  const patience = new Patience();
  const waits = [patience.of([]), patience.of([step]), patience.of([step, chunk(512)])];
  patience.came(chunk(10), 100);
  patience.came(step, 900);
  waits.push(patience.of([chunk(512), step]), patience.of([step]), patience.of([chunk(8)]));
  for (let i = 0; i < 10; i++) patience.came(step, 5);
  waits.push(patience.of([step]));
  expect(waits).toEqual([undefined, 60_000, 300_000, 102_400, 18_000, 10_000, 10_000]);
});

/** In a process of its own: what else ran there would have been compiled with the step known. */
const COMPILED = `
import { Patience } from ${JSON.stringify(new URL("./patience.ts", import.meta.url).href)};
const patience = new Patience();
const chunk = { isChunk: true, tokens: 5 };
for (let i = 0; i < 2_000; i++) {
  patience.came(chunk, 20.5 + i / 7);
  patience.of([chunk, chunk, chunk]);
}
console.log(patience.of([{ isChunk: false, tokens: 1 }]));
`;

test("the first step of an answer is waited for also where only parts of prompts came back, and compiled code asks", async () => {
  const child = Bun.spawn([process.execPath, "-e", COMPILED], {
    // Compiles at once, not beside: what is seen here does not depend on the machine's other work.
    env: { ...process.env, BUN_JSC_useConcurrentJIT: "0" },
    stderr: "inherit",
  });
  expect(await new Response(child.stdout).text()).toBe("60000\n");
});
