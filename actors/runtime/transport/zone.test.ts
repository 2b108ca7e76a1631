import { expect, test } from "bun:test";
import type { networkInterfaces } from "node:os";
import { zoned } from "./zone.ts";

const interfaces = () =>
  ({
    lo: [{ address: "::1" }],
    eth0: [{ address: "10.0.0.1" }, { address: "fe80::1" }],
    wlan0: [{ address: "fe80::2" }],
  }) as unknown as ReturnType<typeof networkInterfaces>;

test("a link-local address is told with the interface of this end, without which nobody can dial it", () => {
  const told = (remote: string, local: string) => zoned(remote, local, interfaces);
  expect([
    told("fe80::9", "fe80::2"),
    told("fe80::9", "fe80::1"),
    told("fe80::9%eth0", "fe80::2"),
    told("fe80::9", "fe80::7"),
    told("fd77::9", "fd77::1"),
    told("10.0.0.9", "10.0.0.1"),
  ]).toEqual(["fe80::9%wlan0", "fe80::9%eth0", "fe80::9%eth0", "fe80::9", "fd77::9", "10.0.0.9"]);
});
