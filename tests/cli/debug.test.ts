import { expect, test } from "bun:test";
import { environmentOf, exo, freshFolder, fromSource } from "./exo.ts";

test("T17: exo debug trace tells which messages went between which actors, and nothing that they say", async () => {
  using home = freshFolder();
  const child = Bun.spawn([...fromSource, "serve", "--port", "0", "--json", "--no-discovery"], {
    env: environmentOf(home.path, {}),
    cwd: home.path,
    stdout: "pipe",
    stderr: "ignore",
  });
  try {
    const ready = JSON.parse(new TextDecoder().decode((await child.stdout.getReader().read()).value));
    const marker = "marker-7f3a";
    const messages = [{ role: "user", content: marker }];
    await fetch(`${ready.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: `./${marker}`, messages }),
    });
    const shown = await exo(["debug", "trace"], { home: home.path });
    const [line = ""] = shown.out.split("\n").filter((each) => each.includes("Supervisor.Acquire"));
    expect({ code: shown.code, line, leaks: shown.out.includes(marker) }).toEqual({
      code: 0,
      line: expect.stringMatching(/^\d+\.\d{6} sent \S+\/api-gateway \S+\/supervisor Supervisor\.Acquire$/),
      leaks: false,
    });
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}, 60_000);
