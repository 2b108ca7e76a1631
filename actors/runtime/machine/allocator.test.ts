import { expect, test } from "bun:test";
import { join } from "node:path";

const program = `
  import { calmAllocator, environmentOfChildren } from ${JSON.stringify(join(import.meta.dir, "allocator.ts"))};
  import { readFileSync } from "node:fs";
  calmAllocator(["-e", process.env.PROGRAM]);
  const set = (text) => text.split("\\0").filter((each) => each.startsWith("MIMALLOC_")).length;
  const env = environmentOfChildren();
  const child = Bun.spawn(["env", "-0"], { env });
  console.log(JSON.stringify({
    pid: process.pid,
    said: await Bun.stdin.text(),
    begunWith: set(readFileSync("/proc/self/environ", "utf8")),
    handedOn: set(await child.stdout.text()),
    own: process.env.OWN,
  }));
`;

async function run(env: Readonly<Record<string, string>>) {
  const child = Bun.spawn([process.execPath, "-e", program], {
    env: { PROGRAM: program, OWN: "yes", ...env },
    stdin: new Blob(["hello"]),
    stderr: "inherit",
  });
  const { pid, ...shown } = JSON.parse(await child.stdout.text());
  return { ...shown, samePid: pid === child.pid, code: await child.exited };
}

test.skipIf(process.platform !== "linux")(
  "a program goes on as the same process with a calm allocator, of which its children inherit nothing; a user's settings stay",
  async () => {
    const same = { samePid: true, said: "hello", own: "yes", code: 0 };
    expect([await run({}), await run({ MIMALLOC_VERBOSE: "0" })]).toEqual([
      { ...same, begunWith: 1, handedOn: 0 },
      { ...same, begunWith: 1, handedOn: 1 },
    ]);
  },
);
