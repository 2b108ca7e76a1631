/** A machine that measures how fast it is with a model: by a worker that goes with the machine. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { ActorSystem } from "#actors/runtime/system";
import { Calibration } from "#actors/supervisor/placement/calibration";
import { answersOf } from "#actors/supervisor/placement/measuring";
import { SpeedBook } from "#actors/supervisor/placement/speed-book";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { freshFolder } from "../cli/exo.ts";
import { tinyFolder } from "../e2e/tiny-folder.ts";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";

test("what is measured when a machine ends is given up with its worker, and what waits for it is not begun", async () => {
  using home = freshFolder();
  const path = tinyFolder(join(home.path, "tiny"));
  const time = new VirtualTime();
  const did: string[] = [];
  const calibration = new Calibration({
    system: new ActorSystem("node", time.clock(seeded(1))),
    book: new SpeedBook({ folder: home.path, by: "test", troubled: (why) => did.push(why) }),
    prepare: async () => {},
    busy: async () => false,
    startWorker: (_, exited) => {
      did.push("starts");
      return {
        pid: 1,
        link: { send: () => true, onReceive: () => {}, onClose: () => {}, close: () => {} },
        requests: () => 0,
        idleMs: () => 0,
        whenIdle: (run) => run(),
        end: () => {
          did.push("ends");
          queueMicrotask(() => exited("it was told to"));
        },
      };
    },
  });
  const measure = () =>
    calibration.measure({ name: "tiny", path }, { kvQuant: "f16" }).then(
      () => "measured",
      ({ message }: Error) => message,
    );
  const asked = [measure(), measure()];
  await time.pass(100);
  await calibration.stop();
  const over = "this machine ends, and measures nothing more";
  expect([await Promise.all([...asked, measure()]), did]).toEqual([
    [over, over, over],
    ["starts", "ends"],
  ]);
});

test("a machine that did not answer is told of without addresses", async () => {
  const slow = { node: "n1" as NodeId, name: "attic", state: "up" } as NodeView;
  const measure = async () => {
    throw new Problem("unavailable", "n1/stages did not answer Stages.Measure within 12000 ms");
  };
  const [said] = await answersOf({ measure }, { model: "m", settings: { kvQuant: "f16" }, nodes: [slow] });
  expect(said).toEqual({
    node: "n1",
    name: "attic",
    problem: {
      kind: "unavailable",
      message: "it did not answer within 12 s, and may know it by the next time",
    },
  } as typeof said);
});
