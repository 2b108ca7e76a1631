import { expect, test } from "bun:test";
import { runCommand } from "./command.ts";

test.each([
  ["what a command prints is taken", "echo", ["words"], {}, "words\n"],
  ["a missing one tells nothing", "exo-no-such-command", [], {}, undefined],
  ["one that fails tells nothing", "sh", ["-c", "echo words; exit 3"], {}, undefined],
  ["one that hangs is ended", "sleep", ["60"], { deadlineMs: 50 }, undefined],
  ["one that does not stop talking is ended", "yes", [], { outputBytesMax: 4096 }, undefined],
] as const)("%s", async (_, command, args, limits, text) => {
  expect(await runCommand(command, args, limits)).toBe(text);
});
