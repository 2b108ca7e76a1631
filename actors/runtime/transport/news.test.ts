import { expect, test } from "bun:test";
import type { ClusterId } from "#protocol/ids";
import { encodeNotice } from "#protocol/notice";
import { Problem } from "#protocol/problem";
import { freshIdentity } from "../security/identity.ts";
import { signMemberList } from "../security/member-list.ts";
import { connectionOf } from "./connection.ts";
import { heedNews } from "./news.ts";

const key = freshIdentity();
const list = signMemberList({ cluster: "home" as ClusterId, version: 1, minimumMinor: 0, members: [] }, key);
const notice = encodeNotice({ authority: { number: 1, pem: "pem", before: [] }, list });

/** What becomes of a connection whose other side said something old, where the answer cannot be made. */
async function heard(error: Error): Promise<readonly string[]> {
  const happened: string[] = [];
  const ended = Promise.withResolvers<void>();
  const note = (what: string) => {
    happened.push(what);
    ended.resolve();
  };
  const socket = { data: connectionOf({ dialled: true }), write: () => note("wrote") };
  heedNews(socket as unknown as Parameters<typeof heedNews>[0], key.node, notice, {
    trust: {
      clusterPem: "",
      nodePem: "",
      minimumMinor: 0,
      isMember: () => true,
      newer: () => Promise.reject(error),
    },
    crashed: (error) => note(`crashed: ${error instanceof Error ? error.message : error}`),
    end: (closing) => note(`ended${closing ?? ""}`),
  });
  await ended.promise;
  return happened;
}

test("a machine that cannot tell another what it knows better ends the connection, and only its own mistake is one", async () => {
  expect([
    await heard(new Problem("unavailable", "exo could not be started")),
    await heard(new Error("bug")),
  ]).toEqual([["ended"], ["crashed: bug"]]);
});
