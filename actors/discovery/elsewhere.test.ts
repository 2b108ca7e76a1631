import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#actors/runtime/clock";
import { tailnetStatus } from "#actors/runtime/transport/local-daemon";
import { Elsewhere, tailnetHosts } from "./elsewhere.ts";

/** Shortened from what a daemon of version 1.82 answers to GET /localapi/v0/status. */
const RECORDED = {
  Version: "1.82.5-t0123456",
  BackendState: "Running",
  TailscaleIPs: ["100.101.1.1", "fd7a:115c:a1e0::1"],
  Self: { HostName: "studio", TailscaleIPs: ["100.101.1.1"], Online: true },
  Peer: {
    "nodekey:aa": {
      HostName: "mini",
      OS: "macOS",
      TailscaleIPs: ["100.101.1.2", "fd7a:115c:a1e0::2"],
      Online: true,
    },
    "nodekey:bb": { HostName: "laptop", OS: "windows", TailscaleIPs: ["100.101.1.3"], Online: false },
    "nodekey:cc": { HostName: "tower", OS: "linux", TailscaleIPs: ["fd7a:115c:a1e0::4"], Online: true },
    "nodekey:dd": { HostName: "odd", TailscaleIPs: ["evil; rm"], Online: true },
    "nodekey:ee": { HostName: "none", TailscaleIPs: null, Online: true },
  },
};

test("machines of the tailnet that are online are places to look, by one address each", () => {
  expect([
    tailnetHosts(RECORDED),
    tailnetHosts(undefined),
    tailnetHosts("x"),
    tailnetHosts({ Peer: 5 }),
  ]).toEqual([["100.101.1.2", "fd7a:115c:a1e0::4"], [], [], []]);
});

test("named machines and the tailnet's are spoken to on the port of all, each once", async () => {
  const elsewhere = new Elsewhere({
    clock: systemClock,
    port: 52_415,
    peers: [
      { host: "10.0.0.2", port: 52_416 },
      { host: "100.101.1.2", port: 52_416 },
    ],
    tailnet: async () => RECORDED,
  });
  await elsewhere.start();
  elsewhere.stop();
  expect(elsewhere.places.map(({ host, port }) => `${host} ${port}`)).toEqual([
    "10.0.0.2 52415",
    "100.101.1.2 52415",
    "fd7a:115c:a1e0::4 52415",
  ]);
});

test("the local daemon is asked over its socket; one that is not there, or says nonsense, is none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "exo-tailnet-"));
  const unix = join(folder, "tailscaled.sock");
  let asked = "";
  const daemon = Bun.serve({
    unix,
    fetch: (request) => {
      asked = `${request.headers.get("host")} ${new URL(request.url).pathname}`;
      return Response.json(RECORDED);
    },
  });
  const silly = Bun.serve({ unix: join(folder, "silly.sock"), fetch: () => new Response("<html>") });
  try {
    const hosts = tailnetHosts(await tailnetStatus([join(folder, "absent"), unix]));
    expect([
      hosts.length,
      asked,
      await tailnetStatus([join(folder, "absent")]),
      await tailnetStatus([join(folder, "silly.sock")]),
    ]).toEqual([2, "local-tailscaled.sock /localapi/v0/status", undefined, undefined]);
  } finally {
    await Promise.all([daemon.stop(true), silly.stop(true)]);
    rmSync(folder, { recursive: true });
  }
});
