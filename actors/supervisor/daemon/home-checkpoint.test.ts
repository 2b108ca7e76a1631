import { expect, test } from "bun:test";
import { Problem } from "#protocol/problem";
import type { Client } from "./client.ts";
import { checkpointAt } from "./home-checkpoint.ts";

test("a model is nowhere in the home only if the home says so: what cannot be told now is said, and nothing is fetched for it", async () => {
  const asked = (kind: "notFound" | "unavailable" | "forbidden") => {
    const daemon = { post: () => Promise.reject(new Problem(kind, "why")) } as unknown as Client;
    const answer = checkpointAt(daemon, "sea", new AbortController().signal);
    return answer.catch((error: Problem) => error.kind);
  };
  expect([await asked("notFound"), await asked("unavailable"), await asked("forbidden")]).toEqual([
    undefined,
    "unavailable",
    "forbidden",
  ]);
});
