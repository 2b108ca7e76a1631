import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeIdentity } from "./node-key.ts";

const making = `
  const { nodeIdentity } = await import("#actors/supervisor/home/node-key");
  const said = await nodeIdentity(process.argv[1]).then(() => "made", ({ message }) => message);
  Bun.gc(true);
  console.log(said);
`;

test("a key that no disk has room for leaves nothing behind, and the next start makes one", async () => {
  const home = mkdtempSync(join(tmpdir(), "exo-key-"));
  try {
    // Files of no bytes are all that may be written.
    const command = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", process.execPath, "-e", making, home];
    const child = Bun.spawn(command, { cwd: import.meta.dir, stdout: "pipe", stderr: "pipe" });
    const [out, err] = [await new Response(child.stdout).text(), await new Response(child.stderr).text()];
    const left = readdirSync(join(home, "node"));
    const made = await nodeIdentity(home);
    expect([out, err, await child.exited, left]).toEqual([expect.not.stringContaining("made"), "", 0, []]);
    expect([readdirSync(join(home, "node")), (await nodeIdentity(home)).pem]).toEqual([
      ["key.pem"],
      made.pem,
    ]);
  } finally {
    rmSync(home, { recursive: true });
  }
});
