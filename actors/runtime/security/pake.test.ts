import { expect, test } from "bun:test";
import { join } from "node:path";
import { ProtocolError } from "#protocol/message";
import { keepCode, proveCode } from "./pake.ts";
import { type Steps, stepHere } from "./steps.ts";
import { stepsBy } from "./steps-child.ts";

const CODE = "K7QM2XTP";
const MAIN = join(import.meta.dir, "../../supervisor/main.ts");

/** Both sides' keys, where the code is right. */
async function exchange(keeps: Steps, proves: Steps, told: string) {
  const [keeper, prover] = [await keepCode(CODE, keeps), await proveCode(told, proves)];
  const { response, finish } = await keeper.answer(prover.request);
  const proved = await prover.finish(response);
  return (
    proved && [
      Buffer.compare(proved.key, (await finish(proved.proof)) ?? new Uint8Array()),
      proved.key.length,
    ]
  );
}

test("a code is proved to who made it, in this process and in others alike, and what is no message is told apart", async () => {
  const inChild = stepsBy([process.execPath, MAIN, "__step"]);
  const keeper = await keepCode(CODE, inChild);
  const nonsense = (await proveCode(CODE)).finish("nonsense").catch((error: unknown) => error);
  expect({
    here: await exchange(stepHere, stepHere, CODE),
    mixed: await exchange(inChild, stepHere, CODE),
    there: await exchange(inChild, inChild, CODE),
    wrong: await exchange(stepHere, inChild, "OTHER234"),
    nonsense: (await nonsense) instanceof ProtocolError,
    asked: await keeper.answer("nonsense").catch((error: unknown) => error instanceof ProtocolError),
  }).toEqual({
    here: [0, 64],
    mixed: [0, 64],
    there: [0, 64],
    wrong: undefined,
    nonsense: true,
    asked: true,
  });
});

test("a step that cannot be done is told as this machine's failure", async () => {
  const failed = await keepCode(CODE, stepsBy([process.execPath, "-e", "process.exit(1)"])).catch(String);
  expect(failed).toContain("the proof of the code could not be worked out: it ended with status 1");
});
