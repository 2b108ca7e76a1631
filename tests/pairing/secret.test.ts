/** Machines that were given one secret: they become one home without anybody's help, and nobody else comes in. */
import { expect, test } from "bun:test";
import { Problem } from "#protocol/problem";
import { type Machine, Network } from "./machines.ts";

const SECRET = "k5q2vuf3m7xw4nht6zrc2ydj5baelsgo";
const OTHER = "a5q2vuf3m7xw4nht6zrc2ydj5baelsgo";

/** Lets every machine's time pass, and what they do over real sockets in between end. */
async function pass(machines: readonly Machine[], until: () => boolean): Promise<void> {
  for (let second = 0; second < 60 && !until(); second++) {
    for (const { time } of machines) await time.pass(1000);
    for (let turn = 0; turn < 200 && machines.some((each) => each.desk.isBusy); turn++) await Bun.sleep(2);
  }
}

test("three machines with one secret become one home, a fourth with another stays out", async () => {
  using network = new Network();
  const home = ["a", "b", "c"].map((name) => network.start(name, { secret: SECRET }));
  const stranger = network.start("d", { secret: OTHER });
  for (const { desk } of network.machines) await desk.start();
  const sizes = () => home.map(({ members }) => members.length);
  await pass(network.machines, () => Math.max(...sizes()) === 3);
  const homes = new Set(home.map(({ adopted, cluster }) => adopted?.cluster ?? cluster));
  expect({ homes: homes.size, largest: Math.max(...sizes()), stranger: stranger.members.length }).toEqual({
    homes: 1,
    largest: 3,
    stranger: 1,
  });
  expect(stranger.adopted).toBeUndefined();
});

test("two homes that were begun apart with one secret stay two, and both say what to do", async () => {
  using network = new Network();
  const homes = ["a", "b"].map((name) => network.start(name, { secret: SECRET }));
  const others = ["x", "y"].map((name) => new Network().start(name));
  homes.forEach((home, i) => {
    home.members = [...home.members, ...(others[i]?.members ?? [])];
  });
  const stranger = network.start("d", { secret: OTHER });
  for (const { desk } of network.machines) await desk.start();
  await pass(network.machines, () =>
    homes.every(({ told }) => told.some((why) => why.includes("another home"))),
  );
  await pass(network.machines, () => false);
  const said = homes.map(({ told }) => told.filter((why) => !why.includes("another cluster.secret")));
  const words = (name: string) =>
    `${name} at 127.0.0.1 has the same cluster.secret, but is of another home, and two homes never become one by themselves: to bring its machines into this one, end exo on all of them, there exo node reset-identity, then start them one after the other`;
  expect({ said, members: homes.map(({ members }) => members.length), stranger: stranger.adopted }).toEqual({
    said: [[words("b")], [words("a")]],
    members: [2, 2],
    stranger: undefined,
  });
});

test("a machine that cannot look around goes on looking, until it ends", async () => {
  using network = new Network();
  const lookings: PromiseWithResolvers<readonly []>[] = [];
  const neighbours = () => {
    const looking = Promise.withResolvers<readonly []>();
    lookings.push(looking);
    return looking.promise;
  };
  const machine = network.start("a", { secret: SECRET, neighbours });
  await machine.desk.start();
  await machine.time.pass(5000);
  lookings[0]?.reject(new Problem("unavailable", "nobody answers here"));
  await machine.time.pass(5000);
  const whileRunning = lookings.length;
  machine.desk.stop();
  lookings[1]?.resolve([]);
  await machine.time.pass(5000);
  expect([whileRunning, lookings.length, machine.told]).toEqual([2, 2, []]);
});

test("a machine with a secret lets in by code as well, and one without is no door for secrets", async () => {
  using network = new Network();
  const [host, guest, plain] = [
    network.start("studio", { secret: SECRET }),
    network.start("mini"),
    network.start("plain", { secret: SECRET }),
  ];
  await host.desk.start();
  const { code } = await host.desk.invite(60_000);
  expect(await guest.join(code)).toBe("joined studio as mini");
  await plain.desk.start();
  const open = [host.pairingPort > 0, guest.pairingPort, plain.pairingPort > 0];
  expect(open).toEqual([true, 0, true]);
});
