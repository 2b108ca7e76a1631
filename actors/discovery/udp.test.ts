import { expect, test } from "bun:test";
import type { Clock } from "#actors/runtime/clock";
import { systemClock } from "#actors/runtime/clock";
import type { LocalAddress } from "./ports.ts";
import { openUdp } from "./udp.ts";

const CABLE: LocalAddress = {
  interface: "lo",
  address: "127.0.0.1",
  netmask: "255.0.0.0",
  family: "IPv4",
  internal: false,
};

test("an interface that was away for a while is used again, and nobody is troubled", async () => {
  const said: string[] = [];
  let [look, addresses] = [() => {}, [CABLE]];
  const clock: Clock = {
    ...systemClock,
    after: (_, run) => {
      look = run;
      return () => {};
    },
  };
  const udp = await openUdp({
    port: 0,
    clock,
    addresses: () => addresses,
    excluded: [],
    troubled: (why) => said.push(why),
  });
  for (addresses of [[], [CABLE], [], [CABLE]]) look();
  await udp.close();
  expect(said).toEqual([]);
});
