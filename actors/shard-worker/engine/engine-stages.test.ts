/** How the token loop keeps several machines busy, on a computer whose machines take one step each when they are told to. */
import { expect, test } from "bun:test";
import type { Resume } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { Problem, problemBody } from "#protocol/problem";
import type { Computer, Done, Outcome, Unit } from "./computer.ts";
import { Engine } from "./engine.ts";
import { fakeModel, letters, VOCABULARY } from "./fake-model.ts";
import type { Limits } from "./limits.ts";
import { Pipeline } from "./pipeline.ts";

/** Units under way, in order, each at the machine of its number. */
class Machines implements Computer {
  readonly #pipeline: Pipeline;
  readonly row: { readonly unit: Unit; readonly done: Done; at: number }[] = [];
  /** Steps in which a machine had nothing to do though there was work, machine by machine. */
  readonly idle: number[];
  readonly log: string[] = [];
  readonly stages: number;

  readonly rowsMax: number;

  constructor(stages: number, rowsMax: number) {
    this.stages = stages;
    this.rowsMax = rowsMax;
    this.idle = Array.from({ length: stages }, () => 0);
    const ports = { stages, rowsMax, window: undefined, send: () => {}, nbytesOf: () => 1, nowMs: () => 0 };
    this.#pipeline = new Pipeline(ports);
  }
  get full() {
    return this.#pipeline.full;
  }
  begin() {
    return this.#pipeline.begin();
  }
  compute(unit: Unit, done: Done): void {
    this.#pipeline.compute(unit, () => {});
    this.row.push({ unit, done, at: 0 });
    this.log.push(`${unit.feeds.map(({ tokens }) => tokens.length).join("+")} ${unit.wanted}`);
  }
  /** Every machine does one unit; one that ends is answered by `outcome`. */
  tick(outcome: (feed: Unit["feeds"][number]) => Outcome = said): void {
    const busy = new Set<number>();
    const ended = this.row.filter((each) => {
      if (busy.has(each.at)) return false;
      busy.add(each.at);
      each.at++;
      return each.at === this.stages;
    });
    this.idle.forEach((_, machine) => {
      if (!busy.has(machine)) this.idle[machine] = (this.idle[machine] ?? 0) + 1;
    });
    for (const each of ended) {
      this.row.splice(this.row.indexOf(each), 1);
      each.done(each.unit.feeds.map(outcome), 1);
    }
  }
}

/** After each letter the next. */
function said({ tokens }: Unit["feeds"][number]): Outcome {
  const logits = new Float32Array(VOCABULARY);
  logits[((tokens.at(-1) ?? 0) + 1) % 26] = 8;
  return { logits };
}

function world(stages: number, rowsMax = 1000, limits: Partial<Limits> = { prefillChunk: 8 }) {
  const { mlx, model } = fakeModel({ next: () => 0 });
  const machines = new Machines(stages, rowsMax);
  const clock = { nowMs: () => 0 };
  const engine = new Engine({ mlx, model, text: letters, clock, computer: machines, limits });
  const ask = (id: string, text: string, maxTokens: number, resume?: Resume) => {
    const heard: string[] = [];
    engine.submit(
      {
        id: id as RequestId,
        model: "m",
        prompt: { type: "text", text },
        sampling: { temperature: 0 },
        stop: [],
        maxTokens,
        ignoreEos: true,
        ...(resume && { resume }),
      },
      {
        delta: (delta) => {
          if (delta.type === "text") heard.push(delta.text);
        },
        failed: (error) => heard.push(`!${problemBody(error).message}`),
      },
    );
    return heard;
  };
  const tick = (times: number, outcome?: (feed: Unit["feeds"][number]) => Outcome) => {
    for (let i = 0; i < times; i++) {
      while (engine.step());
      machines.tick(outcome);
    }
    while (engine.step());
  };
  return { machines, engine, ask, tick };
}

test("the chunks of one prompt follow each other without waiting, and so does its first token", () => {
  const { machines, ask, tick } = world(2);
  const heard = ask("r", "a".repeat(33), 2);
  tick(1);
  const under = machines.row.length;
  tick(7);
  expect([under, machines.log, machines.idle, heard.join("")]).toEqual([
    3,
    ["8 hidden", "8 hidden", "8 hidden", "8 hidden", "1 last", "1 last"],
    // The second machine waits for the first chunk; then one answer alone keeps one machine busy at a time.
    [2, 2],
    "bc",
  ]);
});

test("a prompt goes through several machines in shorter chunks than through one, and in none of a few tokens", () => {
  const chunks = [1, 2, 3].flatMap((stages) =>
    [901, 521].map((tokens) => {
      const { machines, ask, tick } = world(stages, 1000, {});
      ask("r", "a".repeat(tokens), 1);
      tick(12);
      return machines.log.map((each) => each.replace(" hidden", "")).join(" ");
    }),
  );
  const staged = ["128 128 128 128 128 128 66 66 1 last", "128 128 128 68 68 1 last"];
  expect(chunks).toEqual(["512 388 1 last", "260 260 1 last", ...staged, ...staged]);
});

test("of a model whose chunks leave a trace one machine takes long ones too, and what it has told several repeat", () => {
  const text = "a".repeat(1001);
  const told = () => ({ tokens: [1], textLength: 1, strides: [{ rows: 500, times: 2 }] });
  const chunks = ([[1], [2], [1, told()], [2, told()], [2, told(), 300]] as const).map(
    ([stages, resume, rowsMax = 1000]) => {
      const { machines, ask, tick } = world(stages, rowsMax, { chunksAlike: false });
      ask("r", text, 2, resume);
      tick(12);
      return machines.log.map((each) => each.replace(" hidden", "")).join(" ");
    },
  );
  expect(chunks).toEqual([
    "512 488 1 last 1 last",
    "128 128 128 128 128 128 128 104 1 last 1 last",
    // The last of the prompt, again by itself, and then its answer.
    "500 500 1 1 last",
    "500 500 1 1 last",
    // More than fits between two machines is told by none that could have been one of them.
    "300 200 300 200 1 1 last",
  ]);
});

test("a chunk has no more tokens than hidden state of them fits between two machines", () => {
  const { machines, ask, tick } = world(2, 5);
  const heard = ask("r", "a".repeat(13), 1);
  tick(8);
  expect([machines.log, heard.join("")]).toEqual([["5 hidden", "5 hidden", "2 hidden", "1 last"], "b"]);
});

test.each([
  [2, 2, "1 last", 2],
  [2, 5, "1+1+1 last", 2],
  [3, 6, "1+1 last", 3],
  [3, 2, "1 last", 2],
])(
  "on %d machines %d answers decode in as many passes as there are machines",
  (stages, answers, pass, row) => {
    const { machines, ask, tick } = world(stages);
    for (let i = 0; i < answers; i++) ask(`r${i}`, "b", 100);
    tick(30);
    machines.idle.fill(0);
    tick(50);
    const waits = Math.max(...machines.idle);
    expect([
      machines.log.at(-1) === pass || machines.log.at(-2) === pass,
      machines.row.length,
      waits,
    ]).toEqual([true, row, answers < stages ? Math.round(50 / stages) : 0]);
  },
);

test("beside answers a prompt leaves them a machine, and nobody is idle", () => {
  const { machines, ask, tick } = world(2);
  ask("reader", "b", 1000);
  tick(4);
  ask("long", "a".repeat(800), 1);
  tick(2);
  machines.idle.fill(0);
  machines.log.length = 0;
  tick(40);
  expect([machines.log.filter((each) => each === "1 last").length, machines.idle]).toEqual([20, [0, 0]]);
});

test("what is cancelled while it is under way is not heard of again, and its place is taken", () => {
  const { engine, machines, ask, tick } = world(2);
  const [first, second] = [ask("one", "bb", 50), ask("two", "cc", 4)];
  tick(3);
  engine.cancel("one" as RequestId);
  tick(20);
  expect([first.at(-1), second.join(""), machines.row.length, engine.load.active]).toEqual([
    "!request one was cancelled",
    "defg",
    0,
    0,
  ]);
});

test("a sequence that is lost is computed again from its beginning, with what was said", () => {
  const { machines, ask, tick } = world(2);
  const heard = ask("r", "aaaa", 5);
  tick(8);
  const lost = heard.length;
  let first = true;
  tick(2, (feed) => {
    if (!first) return said(feed);
    first = false;
    return { again: true };
  });
  tick(20);
  expect([lost > 0, heard.join(""), machines.log.filter((each) => each.endsWith("hidden"))]).toEqual([
    true,
    "bcdef",
    ["3 hidden", "3 hidden", ...Array<string>(lost).fill("1 hidden")],
  ]);
});

test("a release while passes are under way ends every request, and what comes back later is ignored", () => {
  const { engine, machines, ask, tick } = world(3);
  const all = [ask("one", "bb", 50), ask("two", "c".repeat(60), 4)];
  tick(3);
  engine.release(new Problem("unavailable", "gone"));
  const before = all.map((heard) => heard.join(""));
  while (machines.row.length > 0) machines.tick();
  expect([
    all.map((heard) => heard.join("")),
    before.map((text) => text.endsWith("!gone")),
    engine.step(),
  ]).toEqual([before, [true, true], false]);
});

test("a chunk that cannot be sent ends the worker, not its request alone, of which others would wait for ever", () => {
  const { engine, ask, machines } = world(2);
  machines.compute = () => {
    throw new Error("no way to the first stage");
  };
  const heard = ask("a", "abc", 2);
  expect(() => engine.step()).toThrow("no way to the first stage");
  expect(heard).toEqual([]);
});
