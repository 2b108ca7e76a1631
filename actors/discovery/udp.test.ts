import { expect, test } from "bun:test";
import type { Clock } from "#actors/runtime/clock";
import { systemClock } from "#actors/runtime/clock";
import type { LocalAddress } from "./ports.ts";
import { openUdp, unsent } from "./udp.ts";

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

test("a name without an address and an interface that is not there are told once each, with what to do", async () => {
  const said: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const troubled = (why: string) => {
    said.push(why);
    if (said.length > 1) resolve();
  };
  const udp = await openUdp({
    port: 0,
    clock: systemClock,
    addresses: () => [CABLE],
    excluded: ["tun9"],
    troubled,
  });
  // A name that no service need be asked for, as it can be none.
  for (let i = 0; i < 2; i++) udp.send(new Uint8Array(1), { host: "ada..lan", port: 1 });
  await promise;
  await udp.close();
  expect(said).toEqual([
    "exclude_interfaces names tun9, and there is no such interface now; those with an address are: lo",
    expect.stringMatching(
      /^no address is known for ada\.\.lan \(E\w+\): look at how its name is spelt, or name it by its address \(--peers 192\.168\.1\.7:52416\)$/,
    ),
  ]);
});

test("a name is called misspelt only where the name service knows none like it", () => {
  const told = (code: string) => unsent("ada.lan", Object.assign(new Error(`getaddrinfo ${code}`), { code }));
  const unknown = (code: string) =>
    `no address is known for ada.lan (${code}): look at how its name is spelt, or name it by its address (--peers 192.168.1.7:52416)`;
  expect(["ENOTFOUND", "EAI_NONAME", "DNS_ENODATA", "EAI_AGAIN", "ENETUNREACH"].map(told)).toEqual([
    unknown("ENOTFOUND"),
    unknown("EAI_NONAME"),
    unknown("DNS_ENODATA"),
    "ada.lan: no name service answers yet (EAI_AGAIN); it is asked again",
    "ada.lan: getaddrinfo ENETUNREACH",
  ]);
});

test("T2 a flood goes unread for the rest of its second, then others are heard again", async () => {
  const waits = new Map<number, () => void>();
  const after: Clock["after"] = (ms, run) => {
    waits.set(ms, run);
    return () => {};
  };
  const clock: Clock = { ...systemClock, nowMs: () => 1, after };
  const free = await Bun.udpSocket({});
  const { port } = free;
  free.close();
  const udp = await openUdp({ port, clock, addresses: () => [], excluded: [], troubled: () => {} });
  let heard = 0;
  let word = () => {};
  udp.onReceive = () => {
    heard += 1;
    word();
  };
  const stranger = await Bun.udpSocket({});
  const flood = Array.from({ length: 64 }, () => ["x", port, "127.0.0.1"]).flat();
  const SECOND_MS = 999;
  while (!waits.has(SECOND_MS)) {
    stranger.sendMany(flood as Parameters<typeof stranger.sendMany>[0]);
    await new Promise(setImmediate);
  }
  const inFlood = heard;
  const again = new Promise<void>((resolve) => {
    word = resolve;
  });
  waits.get(SECOND_MS)?.();
  const knocking = setInterval(() => stranger.send("y", port, "127.0.0.1"), 1);
  await again;
  clearInterval(knocking);
  stranger.close();
  await udp.close();
  expect({ inFlood, heardAgain: heard > inFlood }).toEqual({ inFlood: 9_999, heardAgain: true });
});
