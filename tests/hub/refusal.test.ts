import { afterEach, expect, test } from "bun:test";
import type { TestRepository } from "./test-hub.ts";
import { type World, world } from "./world.ts";

const tiny: TestRepository = { files: { "config.json": "{}", "model.safetensors": "weights" } };
const commit = "c".repeat(40);

let here: World | undefined;
const start = async (repositories: Record<string, TestRepository>): Promise<World> => {
  here = await world(repositories);
  return here;
};
afterEach(async () => {
  await here?.close();
  here = undefined;
});

test("429 waits as long as the hub says", async () => {
  const { pull, hub, waits } = await start({ "mlx/tiny-4bit": tiny });
  hub.troubles.set("api", [
    { status: 429, headers: { "retry-after": "7" } },
    { status: 429, headers: { ratelimit: '"api";r=0;t=55' } },
    { status: 429, headers: { "retry-after": "99999" } },
    { status: 503 },
  ]);
  await pull("tiny");
  expect(waits).toEqual([7000, 55_000, 300_000, 4000]);
});

test("a hub that stays in trouble is given up after six attempts", async () => {
  const { refusal, hub, waits } = await start({ "mlx/tiny-4bit": tiny });
  hub.troubles.set(
    "api",
    Array.from({ length: 20 }, () => ({ status: 502 })),
  );
  expect({ said: await refusal("tiny"), waits }).toEqual({
    said: `network: ${new URL(hub.url).host} could not be used: the hub answered 502 (6 attempts) | Check the connection and run the same command again: it goes on where it stopped.`,
    waits: [500, 1000, 2000, 4000, 8000],
  });
});

test("a hub that is not there is a network problem that says what failed", async () => {
  const { refusal, hub, options } = await start({});
  const noName = async () => {
    throw Object.assign(new TypeError("getaddrinfo EAI_AGAIN hub.example"), { code: "EAI_AGAIN" });
  };
  const told = (host: string, why: string) =>
    `network: ${host} could not be used: ${why} (6 attempts) | Check the connection and run the same command again: it goes on where it stopped.`;
  expect({
    closed: await refusal("org/x", { hub: { endpoint: "http://127.0.0.1:1", offline: false } }),
    noName: await refusal("org/x", {
      hub: { endpoint: "https://hub.example", offline: false },
      ports: { ...options.ports, fetch: noName },
    }),
    asked: hub.seen,
  }).toEqual({
    closed: told("127.0.0.1:1", "it takes no connection (ECONNREFUSED)"),
    noName: told("hub.example", "nobody here could say where that name is (EAI_AGAIN)"),
    asked: [],
  });
});

test("refusals say what to do", async () => {
  const { refusal, hub } = await start({
    "org/open": tiny,
    "org/gated": { ...tiny, gated: "nobody" },
  });
  const { url } = hub;
  const host = new URL(url).host;
  const withToken = (token: string) => ({ hub: { endpoint: url, token, offline: false } });
  expect({
    missing: await refusal("org/none"),
    missingWithToken: await refusal("org/none", withToken("hf_good")),
    badToken: await refusal("org/open", withToken("hf_bad")),
    gated: await refusal("org/gated"),
    gatedWithToken: await refusal("org/gated", withToken("hf_good")),
    revision: await refusal("org/open@v9"),
    near: await refusal("mlx/tiny-8b-4bot"),
  }).toEqual({
    missing: `notFound: there is no repository org/none at ${host} | Check the spelling; if it is private, set HF_TOKEN.`,
    missingWithToken: `notFound: there is no repository org/none at ${host} | Check the spelling; if it is private, this HF_TOKEN cannot see it.`,
    badToken: `unauthorised: the hub does not accept this HF_TOKEN | Make a new token at ${url}/settings/tokens, or unset HF_TOKEN.`,
    gated: `unauthorised: org/gated is gated: its owner lets only those in who accepted its terms | Accept them at ${url}/org/gated, then set HF_TOKEN to a token from ${url}/settings/tokens.`,
    gatedWithToken: `unauthorised: org/gated is gated: its owner lets only those in who accepted its terms | Accept them at ${url}/org/gated with the account that this HF_TOKEN belongs to.`,
    revision: "notFound: org/open has no revision v9 | Leave out @revision for the newest.",
    near: `notFound: there is no repository mlx/tiny-8b-4bot at ${host} | Did you mean mlx/tiny-8b-4bit? Check the spelling; if it is private, set HF_TOKEN.`,
  });
});

test("an alias falls back to its second repository", async () => {
  const { pull, root } = await start({ "org/tiny": tiny });
  expect((await pull("tiny")).slice(root.length)).toBe(`/hub/models--org--tiny/snapshots/${commit}`);
});

test("offline, what is here is used and what is not is said", async () => {
  const { pull, refusal, hub } = await start({ "mlx/tiny-4bit": tiny });
  const path = await pull("tiny");
  hub.seen.length = 0;
  const offline = { hub: { endpoint: hub.url, offline: true }, refresh: true };
  expect([await pull("tiny", offline), await refusal("tiny-8b", offline), hub.seen]).toEqual([
    path,
    "network: tiny-8b is not on this disk, and the hub may not be asked (HF_HUB_OFFLINE) | Unset HF_HUB_OFFLINE, or name a model that `exo ls` lists.",
    [],
  ]);
});
