import { expect, test } from "bun:test";
import type { Interface } from "#protocol/node";
import { exitOf } from "./exit.ts";

const addresses = [
  { interface: "lo", address: "127.0.0.1", netmask: "255.0.0.0", internal: true },
  { interface: "en0", address: "10.0.0.5", netmask: "255.255.255.0", internal: false },
  { interface: "wl0", address: "10.0.0.6", netmask: "255.255.255.0", internal: false },
  { interface: "tb0", address: "fe80::1", netmask: "ffff:ffff:ffff:ffff::", internal: false },
];
const interfaces: Interface[] = [
  { name: "en0", medium: "ethernet", addresses: [] },
  { name: "wl0", medium: "wifi", addresses: [] },
  { name: "tb0", medium: "thunderbolt", addresses: [] },
];

test.each([
  [
    "its own address decides between two of one network",
    { remote: "10.0.0.9", local: "10.0.0.6" },
    "wifi",
    "wl0",
  ],
  ["the network of the peer, where that is all there is", { remote: "10.0.0.9" }, "ethernet", "en0"],
  ["the zone of a link-local address", { remote: "fe80::9%tb0" }, "thunderbolt", "tb0"],
  ["IPv4 in IPv6 clothes", { remote: "::ffff:10.0.0.9", local: "::ffff:10.0.0.6" }, "wifi", "wl0"],
  ["this machine's own address", { remote: "10.0.0.5", local: "10.0.0.5" }, "loopback", undefined],
  ["loopback", { remote: "127.0.0.1", local: "127.0.0.1" }, "loopback", undefined],
  ["a network that nobody here knows", { remote: "192.168.7.1" }, "unknown", undefined],
  ["nonsense", { remote: "300.1.1", local: "" }, "unknown", undefined],
] as const)("a link leaves by: %s", (_, way, medium, name) => {
  expect(exitOf(way, { addresses, interfaces })).toEqual({ medium, ...(name && { interface: name }) });
});
