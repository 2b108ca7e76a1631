import { expect, test } from "bun:test";
import { remedy, run } from "./run.ts";

test("a failing tool is quoted from its first error on", async () => {
  const tool = run(["sh", "-c", "echo fine; echo 'a.cpp:1: error: no such thing'; exit 3"]);
  expect(await tool.catch((error: Error) => error.message)).toBe(
    "sh -c echo fine; echo 'a.cpp:1: error: no such thing'; exit 3 … ended with code 3\na.cpp:1: error: no such thing",
  );
});

test("a tool that is not there is named, with what it is for", async () => {
  const tool = run(["no-such-tool"], { missing: "no-such-tool is not installed: it builds things" });
  expect(await tool.catch((error: Error) => error.message)).toBe(
    "no-such-tool is not installed: it builds things",
  );
});

test("words of the tools we call lead to what to do", () => {
  const words = [
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE",
    "error: checksum for `mlx-sys v0.7.0` changed between lock files",
    "OSError: [Errno 28] No space left on device",
    "/usr/bin/python3: No module named pip",
    "warning: spurious network error (3 tries remaining): [6] Could not resolve host",
    "g++: error: unrecognized command-line option '-std=c++20'",
    "g++: fatal error: Killed signal terminated program cc1plus",
    "something else",
  ];
  expect(words.map((text) => remedy(text)?.split(":")[0])).toEqual([
    "what was received is not what is pinned in mlx-c/pins.ts",
    "what was received is not what is pinned in mlx-c/pins.ts",
    "the disk is full",
    "this Python has no pip",
    "the package registry could not be reached",
    "the compiler does not know C++20",
    "the machine ran out of memory",
    undefined,
  ]);
});
