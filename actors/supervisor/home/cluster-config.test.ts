import { expect, test } from "bun:test";
import { Problem } from "#protocol/problem";
import { clusterConfig } from "./cluster-config.ts";

const GOOD = "k5q2vuf3m7xw4nht6zrc2ydj5baelsgo";

const outcome = (secret: string, env: Record<string, string> = {}) => {
  try {
    return clusterConfig({}, env, { secret }).secret;
  } catch (error) {
    return error instanceof Problem ? `${error.message} → ${error.remedy}` : error;
  }
};

test("a shared secret must be long and drawn, and may lie in a variable", () => {
  expect([
    outcome(GOOD),
    outcome("env:HOME_SECRET", { HOME_SECRET: GOOD }),
    outcome("env:HOME_SECRET"),
    outcome("correct horse battery"),
    outcome("abcabcabcabcabcabcabcabcabcabcabcabc"),
  ]).toEqual([
    GOOD,
    GOOD,
    "cluster.secret names the variable HOME_SECRET, which is not set → set it, or make a secret: exo invite --secret",
    "cluster.secret has 21 letters; at least 32 are needed → make one: exo invite --secret",
    "cluster.secret repeats a few letters, so that it can be guessed → make one: exo invite --secret",
  ]);
});

test("peers of the command line replace those of the file; what is no address is refused", () => {
  const peers = (flags: readonly string[] | undefined) =>
    clusterConfig(flags ? { peers: flags } : {}, {}, { peers: ["studio.local:52416"] }).peers;
  expect([peers(undefined), peers(["10.0.0.2:1", "[fe80::1%en0]:52416"])]).toEqual([
    ["studio.local:52416"],
    ["10.0.0.2:1", "[fe80::1%en0]:52416"],
  ]);
  expect(() => peers(["10.0.0.2"])).toThrow(`cluster.peers: "10.0.0.2" is no address`);
});
