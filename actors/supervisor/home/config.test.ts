import { expect, test } from "bun:test";
import { problemBody } from "#protocol/problem";
import { type ConfigFlags, configOf, type Surroundings } from "./config.ts";

const HOME = "/home/ann";

function around(env: Record<string, string> = {}, files: Record<string, string> = {}): Surroundings {
  return {
    env,
    platform: "linux",
    userHome: HOME,
    folder: "/project",
    read: (path) => files[path],
    extraModelFolders: [],
  };
}

const USER = `${HOME}/.local/share/exo/exo.yaml`;
const PROJECT = "/project/exo.yaml";

test("with nothing set there are defaults, on this machine only", () => {
  expect(configOf({}, around({}))).toEqual({
    home: `${HOME}/.local/share/exo`,
    folder: "/project",
    userHome: HOME,
    api: { port: 52415, bind: "localhost", requireKey: false, hosts: [], origins: [], plainHttp: false },
    models: {
      dir: `${HOME}/.local/share/exo/models`,
      aliases: {},
      autoPull: undefined,
      idle: { afterMs: 600_000, kept: [] },
      extraFolders: [],
    },
    hub: { endpoint: "https://huggingface.co", offline: false, userCache: `${HOME}/.cache` },
    runtime: {},
    cluster: {
      namespace: "default",
      port: 52_416,
      isPortChosen: false,
      discoveryPort: 52_415,
      excludedInterfaces: [],
      peers: [],
    },
    terminal: { dumb: false, accessible: false, history: true },
    childEnvironment: { DO_NOT_TRACK: "1" },
  });
});

test("a flag wins over the environment, that over the project's file, that over the user's", () => {
  const files = {
    [USER]:
      "api: { port: 1, origins: [https://user.example] }\nruntime: { context: 1 }\nmodels: { aliases: { a: user, b: user } }",
    [PROJECT]: "api: { port: 2 }\nruntime: { context: 2 }\nmodels: { aliases: { a: project } }",
  };
  const port = (flags: ConfigFlags, env: Record<string, string>) =>
    configOf(flags, around(env, files)).api.port;
  const { api, runtime, models } = configOf({ ctx: 3 }, around({}, files));
  expect([
    port({ port: 4 }, { EXO_PORT: "3" }),
    port({}, { EXO_PORT: "3" }),
    port({}, {}),
    api.origins,
    runtime,
    models.aliases,
  ]).toEqual([4, 3, 2, ["https://user.example"], { contextLength: 3 }, { a: "project", b: "user" }]);
});

test("the data folder is the platform's", () => {
  const home = (platform: NodeJS.Platform, env: Record<string, string>) =>
    configOf({}, { ...around(env), platform }).home;
  expect([
    home("linux", { XDG_DATA_HOME: "/data" }),
    home("darwin", {}),
    home("linux", { EXO_HOME: "rel" }),
    home("linux", { EXO_HOME: "" }),
  ]).toEqual([
    "/data/exo",
    `${HOME}/Library/Application Support/exo`,
    "/project/rel",
    `${HOME}/.local/share/exo`,
  ]);
});

test("a host may be given as name, with port or as URL", () => {
  const host = (given: string) => configOf({ host: given }, around()).host;
  expect([
    host("mini"),
    host("mini:80"),
    host("10.0.0.2:8080"),
    host("https://exo.example/base/"),
    host("[::1]:99"),
  ]).toEqual([
    "http://mini:52415",
    "http://mini",
    "http://10.0.0.2:8080",
    "https://exo.example/base",
    "http://[::1]:99",
  ]);
});

test("the hub's token comes from the environment, else from where its own tool leaves it", () => {
  const token = (env: Record<string, string>, files: Record<string, string> = {}) =>
    configOf({}, around(env, files)).hub.token;
  const left = { [`${HOME}/.cache/huggingface/token`]: "left\n", "/hf/token": "moved\n" };
  expect([
    token({ HF_TOKEN: "given" }, left),
    token({}, left),
    token({ HF_HOME: "/hf" }, left),
    token({}),
  ]).toEqual(["given", "left", "moved", undefined]);
});

test("children get no secrets, and nothing that makes Bun run foreign code", () => {
  const env = { PATH: "/bin", EXO_API_KEY: "k", HF_TOKEN: "t", BUN_OPTIONS: "--preload x", BUN_BE_BUN: "1" };
  expect(configOf({}, around(env)).childEnvironment).toEqual({ DO_NOT_TRACK: "1", PATH: "/bin" });
});

test("colour follows NO_COLOR, CLICOLOR_FORCE and TERM=dumb", () => {
  const color = (env: Record<string, string>, flags: ConfigFlags = {}) =>
    configOf(flags, around(env)).terminal.color;
  expect([
    color({}),
    color({ NO_COLOR: "1", CLICOLOR_FORCE: "1" }),
    color({ CLICOLOR_FORCE: "1" }),
    color({ TERM: "dumb" }),
    color({ CLICOLOR_FORCE: "1" }, { color: false }),
  ]).toEqual([undefined, false, true, false, false]);
});

const faults: readonly (readonly [string, string, string, string])[] = [
  ["an unknown section", USER, "modles: {}", `${USER}: modles is not known; did you mean models?`],
  ["an unknown key", USER, "api: { ports: 1 }", `${USER}: api.ports is not known; did you mean api.port?`],
  [
    "a port out of range",
    USER,
    "api: { port: 65536 }",
    `${USER}: api.port must be a whole number from 0 to 65535`,
  ],
  [
    "a backend that is none",
    USER,
    "runtime: { backend: rdma }",
    `${USER}: runtime.backend must be one of auto, ring, jaccl, nccl`,
  ],
  [
    "a secret in the file",
    USER,
    "api: { key: abc }",
    `${USER}: api.key must not hold a secret itself: write env:NAME and set that variable`,
  ],
  [
    "a missing secret",
    USER,
    "api: { key: 'env:NOT_SET' }",
    "exo.yaml takes api.key from NOT_SET, which is not set",
  ],
  ["a list", USER, "- 1", `${USER}: the file must be a map of sections`],
  [
    "a project that redirects downloads",
    PROJECT,
    "models: { hub_endpoint: 'https://evil.example' }",
    `${PROJECT}: models.hub_endpoint is not taken from the folder one stands in`,
  ],
  [
    "a project that opens the server",
    PROJECT,
    "api: { bind: 0.0.0.0 }",
    `${PROJECT}: api.bind is not taken from the folder one stands in`,
  ],
];

test.each(faults)("%s is refused", (_, path, yaml, message) => {
  expect(() => configOf({}, around({}, { [path]: yaml }))).toThrow(message);
});

test("what is not YAML is refused with the file's name", () => {
  expect(() => configOf({}, around({}, { [USER]: "api: [" }))).toThrow(`${USER} is not YAML`);
});

test("a key is taken from the variable that the file names", () => {
  expect(configOf({}, around({ MY_KEY: "s3cret" }, { [USER]: "api: { key: 'env:MY_KEY' }" })).api.key).toBe(
    "s3cret",
  );
});

test.each([
  ["EXO_THREADS", ["1", "16", "256", ""], ["abc", "0", "-1", "257", "9999", "2.5", "0x2", " 2"]],
  [
    "EXO_CPU_KERNELS",
    ["avx512", "avx512f", "avxvnni", "avx2", "neon", "neonf", "portable", "mlx", ""],
    ["foo", "AVX2", "avx"],
  ],
])("%s is checked before anything loads", (name, right, wrong) => {
  const refusal = (value: string) => {
    try {
      configOf({}, around({ [name]: value }));
      return "taken";
    } catch (error) {
      const { kind, param, message, remedy = "" } = problemBody(error);
      return [kind, param, message.startsWith(`${name}=${value} is no`), remedy.includes("leave it unset")];
    }
  };
  expect([right.map(refusal), wrong.map(refusal)]).toEqual([
    right.map(() => "taken"),
    wrong.map(() => ["invalid", name, true, true]),
  ]);
});
