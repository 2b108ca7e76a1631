/** Machines of one network segment, in network namespaces where this machine allows that. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { discovering } from "./discovering.ts";
import { canMakeSegments } from "./namespaces.ts";
import { type Home, home } from "./segment-home.ts";

setDefaultTimeout(180_000);

async function near(homes: Home, ...words: readonly string[]) {
  const said = await homes.says(1, "serve", "--list-peers", "--json", ...words);
  const [, line = said] = /^(\{.*\})$/m.exec(said) ?? [];
  const { peers }: { readonly peers: readonly Readonly<Record<string, unknown>>[] } = JSON.parse(line);
  return peers;
}

/** Looks until somebody answers within the time of one look, as nobody on a busy machine need; the test's own limit ends it. */
async function someNear(homes: Home, ...words: readonly string[]) {
  for (;;) {
    const peers = await near(homes, ...words);
    if (peers.length > 0) return peers;
  }
}

describe.if(await canMakeSegments())("in a segment", () => {
  test("three list each other (20 machines, and how soon: bun run segment)", async () => {
    expect((await discovering(3, { restSeconds: 0 })).nodes).toBe(3);
  });

  test("a code alone suffices: the machine that invites is found, and both are members of one home", async () => {
    await using two = await home(2);
    await two.serve(0);
    await two.serve(1);
    expect(await two.pair()).toMatch(/^✓ joined the home of node0 \(\w{8}\) as node1\n$/);
    await two.whole(0, 1);
  });

  test("three machines with one secret become a home by themselves", async () => {
    await using three = await home(3);
    const secret = "k5q2vuf3m7xw4nht6zrc2ydj5baelsgo";
    for (const node of [0, 1, 2]) await three.serve(node, { secret });
    await three.whole(0, 1, 2);
  });

  test("members that moved find each other by --peers where there is no discovery", async () => {
    await using two = await home(2);
    await two.serve(0);
    await two.serve(1);
    await two.pair();
    await two.whole(0, 1);
    await two.end(0);
    await two.end(1);
    await two.serve(0, { port: "53001" }, ["--no-discovery"]);
    await two.serve(1, { port: "53002" }, ["--no-discovery", "--peers", "10.77.0.1:53001"]);
    await two.whole(0, 1);
  });

  test("members that moved are found through those that already found them", async () => {
    await using three = await home(3);
    for (const node of [0, 1, 2]) await three.serve(node);
    await three.pair();
    await three.pair(2);
    await three.whole(0, 1, 2);
    for (const node of [0, 1, 2]) await three.end(node);
    await three.serve(0, { port: "53001" }, ["--no-discovery"]);
    for (const node of [1, 2])
      await three.serve(node, { port: `5300${node + 1}` }, ["--no-discovery", "--peers", "10.77.0.1:53001"]);
    await three.whole(0, 1, 2);
  });

  test("two machines with a copied identity are both told, with what to do", async () => {
    await using two = await home(2);
    await two.serve(0);
    await two.end(0);
    two.copyIdentity(0, 1);
    await two.serve(0);
    await two.serve(1);
    const isTold = async (node: number) =>
      /has the identity of this one.*exo node reset-identity/.test(await two.log(node));
    while (!((await isTold(0)) && (await isTold(1)))) await Bun.sleep(20);
  });

  test("who is near in another namespace is listed beside an exo of one's own", async () => {
    await using two = await home(2);
    await two.serve(0, { namespace: "lab" });
    await two.serve(1);
    const lab = await someNear(two, "--namespace", "lab");
    const own = await near(two, "--namespace", "default");
    expect([lab.map(({ name }) => name), own]).toEqual([["node0"], []]);
  });

  test("who is near is listed without serving", async () => {
    await using two = await home(2);
    await two.serve(0);
    const peers = await someNear(two);
    expect(peers).toEqual([
      {
        node: expect.stringMatching(/^[a-z2-7]{52}$/),
        name: "node0",
        version: "0.1.0",
        addresses: expect.any(Array),
        inviting: false,
      },
    ]);
  });
});
