/** The law of rooms: who may import whom, which globals are banned where, how long a file may be. */
import { expect, test } from "bun:test";

interface Law {
  readonly room: string;
  readonly may: readonly string[];
  readonly because: string;
}

/** The first room that matches a file is its room. */
const law: readonly Law[] = [
  { room: "protocol/", may: ["protocol/"], because: "messages must not depend on who sends them" },
  {
    room: "ffi/",
    may: ["ffi/", "mlx-c/", "protocol/problem"],
    because: "a binding must not know what it is used for",
  },
  { room: "actors/runtime/", may: ["protocol/", "actors/runtime/"], because: "the ground knows no house" },
  {
    room: "actors/shard-worker/models/",
    may: ["ffi/", "protocol/", "actors/shard-worker/models/", "actors/shard-worker/cache/"],
    because: "arithmetic runs without a cluster",
  },
  {
    room: "actors/shard-worker/cache/",
    may: ["ffi/", "protocol/", "actors/shard-worker/cache/"],
    because: "arithmetic runs without a cluster",
  },
  {
    room: "actors/shard-worker/sampling/",
    may: ["ffi/", "protocol/", "actors/shard-worker/sampling/"],
    because: "arithmetic runs without a cluster",
  },
  {
    room: "actors/shard-worker/text/",
    may: ["protocol/", "actors/shard-worker/text/"],
    because: "strings in, tokens out, and nothing of tensors",
  },
  {
    room: "actors/shard-worker/",
    may: ["protocol/", "ffi/", "actors/runtime/", "actors/shard-worker/"],
    because: "actors meet only in messages",
  },
  {
    room: "actors/api-gateway/dialects/",
    may: ["protocol/", "actors/api-gateway/dialects/"],
    because: "a dialect is a translation, not a server",
  },
  {
    room: "actors/api-gateway/",
    may: ["protocol/", "actors/runtime/", "actors/api-gateway/"],
    because: "actors meet only in messages",
  },
  ...["discovery", "topology", "planner"].map((actor) => ({
    room: `actors/${actor}/`,
    may: ["protocol/", "actors/runtime/", `actors/${actor}/`],
    because: "actors meet only in messages",
  })),
  {
    room: "actors/supervisor/",
    may: ["protocol/", "actors/", ".cache/", "package.json"],
    because: "the Supervisor wires actors and computes nothing",
  },
  { room: "mlx-c/", may: ["mlx-c/"], because: "the recipe must build before anything of ours runs" },
];

interface Ban {
  readonly pattern: RegExp;
  readonly instead: string;
  readonly except: RegExp;
}

const buildScripts =
  /^(mlx-c\/|actors\/supervisor\/(build|main|cli)\.ts|ffi\/generate\.ts|tests\/|bench\/)|\.test\.ts$/;
const bans: readonly Ban[] = [
  {
    pattern: /\bDate\.now\(|\bperformance\.now\(/,
    instead: "the Clock that is passed in",
    except: /^actors\/runtime\//,
  },
  { pattern: /\bMath\.random\(/, instead: "a seed or the Clock's freshId", except: /^actors\/runtime\// },
  { pattern: /\bset(Timeout|Interval)\(/, instead: "Clock.after", except: /^actors\/runtime\// },
  { pattern: /\bprocess\.env\b/, instead: "config.ts", except: /^actors\/supervisor\/home\/config\.ts$/ },
  { pattern: /@ts-(ignore|expect-error|nocheck)/, instead: "a type that is true", except: /^$/ },
];

const LINES_MAX = 300;

const files = await Array.fromAsync(
  new Bun.Glob("{protocol,ffi,actors,mlx-c,tests,bench}/**/*.ts").scan({ cwd: `${import.meta.dir}/..` }),
);
const sources = new Map(
  await Promise.all(
    files
      .filter((file) => !file.includes("/generated/"))
      .map(async (file) => [file, await Bun.file(`${import.meta.dir}/../${file}`).text()] as const),
  ),
);

/** What a file imports, as paths from the root; packages and built-ins are left out. */
function imports(file: string, text: string): string[] {
  return [...text.matchAll(/^(?:import|export|\} from)\b[^"`;()]*"([^"]+)"|\bimport\("([^"]+)"\)/gm)].flatMap(
    ([, named, lazy]) => {
      const path = named ?? lazy ?? "";
      if (path.startsWith("#")) return [path.slice(1)];
      if (path.startsWith(".")) return [new URL(path, `file:///${file}`).pathname.slice(1)];
      return [];
    },
  );
}

const isTest = (file: string) =>
  file.endsWith(".test.ts") || file.startsWith("tests/") || file.startsWith("bench/");

test("every import keeps the law of rooms", () => {
  const broken = [...sources].flatMap(([file, text]) => {
    const room = law.find((candidate) => file.startsWith(candidate.room));
    if (isTest(file) || !room) return [];
    return imports(file, text)
      .filter((path) => !room.may.some((allowed) => path.startsWith(allowed)))
      .map((path) => `${file} imports ${path}: ${room.because}`);
  });
  expect(broken).toEqual([]);
});

test("the Supervisor reaches other actors by their faces only", () => {
  // An actor's face is its index and ports; the files of models on disk are also asked for by commands without any actor.
  const faces = [
    /^actors\/(supervisor|runtime|planner)\//,
    /^actors\/[a-z-]+\/(index|ports|worker-main)(\.ts)?$/,
    /^actors\/shard-worker\/weights\/(pull|store|store-verify|store-places|resolve|hub|hub-cache|checkpoint|checkpoint-view|checkpoint-digest|copied-files|offered-files|origin|part-hash|partial-copy|partial-list|shard-ranges)$/,
    /^actors\/shard-worker\/models\/registry$/,
  ];
  const broken = [...sources].flatMap(([file, text]) =>
    !file.startsWith("actors/supervisor/") || isTest(file)
      ? []
      : imports(file, text)
          .filter((path) => path.startsWith("actors/") && !faces.some((face) => face.test(path)))
          .map((path) => `${file} imports ${path}: another actor's inside`),
  );
  expect(broken).toEqual([]);
});

test("time, chance and the environment come in through their one door", () => {
  const broken = [...sources].flatMap(([file, text]) =>
    buildScripts.test(file)
      ? []
      : bans
          .filter(({ pattern, except }) => pattern.test(text) && !except.test(file))
          .map(({ pattern, instead }) => `${file} uses ${pattern.source}: use ${instead}`),
  );
  expect(broken).toEqual([]);
});

/**
 * JavaScriptCore's DFG of Bun 1.4.5 computes `(isA ? number : this.#b) * 2` as NaN, also behind `=== undefined`, where the branch with a
 * private field that is undefined was never taken before it was compiled: patience.test.ts shows it. Each branch asks for itself instead.
 */
test("no number that may be undefined is chosen among private fields by a condition", () => {
  const broken = [...sources].flatMap(([file, text]) =>
    [
      ...text.matchAll(
        /^ {2}(?:readonly )?(#\w+)(?:\?: number|: (?:number \| undefined|undefined \| number))/gm,
      ),
    ]
      .map(([, name]) => name ?? "")
      .filter((name) => new RegExp(`(?<!\\?)[?:] this\\.${name}\\b(?!\\s*(?:\\?\\?|&&|===))`).test(text))
      .map((name) => `${file} chooses ${name} by a condition: ask for undefined in each branch`),
  );
  expect(broken).toEqual([]);
});

test(`no file is longer than ${LINES_MAX} lines`, () => {
  const long = [...sources]
    .map(([file, text]) => [file, text.split("\n").length] as const)
    .filter(([, lines]) => lines > LINES_MAX)
    .map(([file, lines]) => `${file}: ${lines} lines; split it by noun`);
  expect(long).toEqual([]);
});

test("the top level holds what the house allows and nothing else", async () => {
  const allowed =
    /^(\.(git|ci|cache|gitignore).*|package(-lock)?\.json|bunfig\.toml|tsconfig\.json|biome\.json|knip\.json|README\.md|actors|ffi|mlx-c|protocol|tests|bench|node_modules|dist)$/;
  const top = await Array.fromAsync(
    new Bun.Glob("*").scan({ cwd: `${import.meta.dir}/..`, onlyFiles: false, dot: true }),
  );
  expect(top.filter((name) => !allowed.test(name))).toEqual([]);
});
