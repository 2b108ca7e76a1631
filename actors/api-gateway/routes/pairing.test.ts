import { expect, test } from "bun:test";
import type { NodeId } from "#protocol/ids";
import { PairingReply } from "#protocol/pairing";
import { Problem } from "#protocol/problem";
import type { PairingPort } from "../ports.ts";
import { app } from "../serve.ts";
import { post } from "../test/ask.ts";
import { fakePorts } from "../test/fake-ports.ts";

const node = "n".repeat(52) as NodeId;
const asked: unknown[] = [];
const port: PairingPort = {
  invite: async (ttlMs, role) => {
    if (role) asked.push(role);
    return PairingReply.Invited({ code: "K7QM-2XTP", long: "exo:K7QM2XTP", port: 4, ttlMs, tries: 3 });
  },
  watch: async (which) => {
    asked.push(which);
    const invite = { state: "used", triesLeft: 2, leftMs: 1499, joined: { node, name: "mini" } } as const;
    return PairingReply.Invite({ invite, seen: "2" });
  },
  close: async () =>
    PairingReply.Invite({ invite: { state: "closed", triesLeft: 3, leftMs: 0, trouble: "x" }, seen: "3" }),
  join: async (application) => {
    asked.push(application);
    if (application.code === "wrong") throw new Problem("forbidden", "the code is wrong; 2 tries are left");
    return PairingReply.Joined({ node, name: "studio", as: "mini" });
  },
};
const server = app(fakePorts([], { pairing: () => port }), { host: "127.0.0.1" });
const answer = async (path: string, body: unknown) => {
  const response = await post(server, `/exo/v1/${path}`, body);
  const { error, ...fields } = (await response.json()) as { error?: { message: string } };
  return [response.status, error?.message ?? fields];
};

test("invite, watch, close and join in the spelling of the API", async () => {
  asked.length = 0;
  expect([
    await answer("invite", { ttl_seconds: 60, role: "worker" }),
    await answer("invite/watch", { seen: "1", code: "K7QM-2XTP" }),
    await answer("invite/close", {}),
    await answer("join", { code: "K7QM-2XTP", address: "studio", name: "mini" }),
    asked,
  ]).toEqual([
    [200, { code: "K7QM-2XTP", long: "exo:K7QM2XTP", port: 4, expires_in_seconds: 60, tries: 3 }],
    [200, { state: "used", tries_left: 2, seconds_left: 1, joined: { node, name: "mini" }, seen: "2" }],
    [200, { state: "closed", tries_left: 3, seconds_left: 0, trouble: "x", seen: "3" }],
    [200, { node, name: "studio", as: "mini" }],
    ["worker", { seen: "1", code: "K7QM-2XTP" }, { code: "K7QM-2XTP", at: "studio", name: "mini" }],
  ]);
});

test("what is wrong is said; an exo that works alone says so", async () => {
  const alone = app(fakePorts(), { host: "127.0.0.1" });
  const response = await post(alone, "/exo/v1/invite", { ttl_seconds: 60 });
  const { error } = (await response.json()) as { error: { message: string } };
  expect([
    await answer("invite", { ttl_seconds: 0 }),
    await answer("join", {}),
    await answer("join", { code: "wrong" }),
    [response.status, error.message],
  ]).toEqual([
    [400, "`ttl_seconds` must be a number from 1 to 86400, not 0"],
    [400, "`code` is missing; it is a text of at most 1024 characters"],
    [403, "the code is wrong; 2 tries are left"],
    [503, expect.stringContaining("this exo works alone: it neither lets others in nor joins them")],
  ]);
});
