/** Machines of one network segment, in network namespaces where this machine allows that. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { environmentOf, freshFolder, fromSource } from "../cli/exo.ts";
import { discovering } from "./discovering.ts";
import { started } from "./processes.ts";
import { canMakeSegments, segment } from "./segment.ts";

const TEST_MS_MAX = 60_000;
const possible = await canMakeSegments();

test.if(possible)(
  "three list each other within 3 seconds of the last one's start (20 machines: bun run segment)",
  async () => {
    const { allPairsMs } = await discovering(3, { restSeconds: 0 });
    expect(allPairsMs).toBeLessThan(3000);
  },
  TEST_MS_MAX,
);

test.if(possible)(
  "a code alone suffices: the machine that invites is found in the network, and both are members of one home",
  async () => {
    using folder = freshFolder();
    await using net = await segment(2);
    const homes = [0, 1].map((node) => ({ name: `node${node}`, folder: join(folder.path, `node${node}`) }));
    const stack = new AsyncDisposableStack();
    await using _ = stack;
    for (const [node, home] of homes.entries()) {
      await Bun.write(join(home.folder, "exo", "exo.yaml"), `cluster:\n  name: ${home.name}\n`);
      stack.use(await started(home, { prefix: net.prefix(node), args: [] }));
    }
    const run = (node: number, ...words: string[]) =>
      Bun.spawn([...net.prefix(node), ...fromSource, ...words], {
        env: environmentOf(homes[node]?.folder ?? ""),
        cwd: homes[node]?.folder ?? "",
        stderr: "pipe",
      });
    const invite = run(0, "invite", "--json");
    const first = await invite.stdout.getReader().read();
    const { code } = JSON.parse(new TextDecoder().decode(first.value));
    const joining = run(1, "join", code);
    const said = await new Response(joining.stderr).text();
    const listed = async (node: number) => {
      const { nodes } = JSON.parse(await new Response(run(node, "nodes", "--json").stdout).text());
      return (nodes as { name: string; state: string }[]).map(({ name, state }) => `${name} ${state}`);
    };
    while (!(await listed(0)).includes("node1 up") || !(await listed(1)).includes("node0 up"))
      await Bun.sleep(50);
    expect(said).toMatch(/^✓ joined the home of node0 \(\w{8}\) as node1\n$/);
  },
  TEST_MS_MAX,
);
