/** What must not be told: keys, tokens, the home's secret, codes, and what users ask, in anything that is written down. */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exo, freshFolder } from "./exo.ts";
import { serving } from "./serving.ts";

const secrets = {
  key: "canary-key-3f9a1c",
  token: "canary-token-77be02",
  secret: "canary-secret-k5q2vuf3m7xw4nht6zrc2ydj5baelsgo",
  prompt: "canary-prompt-5d10",
};

/** The files below a folder that hold one of the words, each with the word's name. */
function found(folder: string, words: Readonly<Record<string, string>>): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).flatMap((name) => {
    const path = join(folder, name);
    if (!statSync(path).isFile()) return [];
    const bytes = readFileSync(path);
    return Object.entries(words).flatMap(([what, word]) =>
      bytes.includes(word) ? [`${name}: ${what}`] : [],
    );
  });
}

test("T48 no key, token, secret, code or prompt stands in a log, a trace, the state, or a file beside the user's own", async () => {
  using folder = freshFolder();
  const home = folder.path;
  mkdirSync(join(home, "exo"), { mode: 0o700 });
  writeFileSync(join(home, "exo", "exo.yaml"), `cluster:\n  port: 0\n  secret: ${secrets.secret}\n`);
  await using server = await serving(home, ["--require-key", "--no-discovery"], {
    EXO_API_KEY: secrets.key,
    HF_TOKEN: secrets.token,
  });
  const { url } = server;
  const ask = async (path: string, key: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const answer = await fetch(url + path, {
      headers,
      ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const chat = { model: "nobody/nothing", messages: [{ role: "user", content: secrets.prompt }] };
  const refused = [
    await ask("/v1/chat/completions", secrets.key, chat),
    await ask("/v1/chat/completions", `${secrets.key}x`, chat),
    await ask("/v1/chat/completions", secrets.key, { ...chat, messages: secrets.prompt.repeat(3), n: -1 }),
  ];
  const { code } = JSON.parse((await ask("/exo/v1/invite", secrets.key, { ttl_seconds: 60 })).text);
  await ask("/exo/v1/join", secrets.key, { code: "AAAA-AAAA", address: "127.0.0.1:1" });
  const state = await Promise.all(
    ["/exo/v1/state", "/exo/v1/cluster", "/state"].map((path) => ask(path, secrets.key)),
  );
  const trace = await exo(["debug", "trace"], { home, env: { EXO_API_KEY: secrets.key, EXO_HOST: url } });
  const shown = [...state.map(({ text }) => text), trace.out, trace.err, await server.ended()].join("\n");
  const words: Readonly<Record<string, string>> = { ...secrets, code };
  expect({
    refused: refused.map(({ status }) => status),
    state: state.map(({ status }) => status),
    trace: trace.out.includes("ApiGateway") || trace.out.split("\n").length > 5,
    shown: Object.keys(words).filter((what) => shown.includes(words[what] ?? "")),
    kept: found(home, words),
  }).toEqual({
    refused: [404, 401, 400],
    state: [200, 200, 200],
    trace: true,
    shown: [],
    kept: ["exo/exo.yaml: secret"],
  });
}, 60_000);
