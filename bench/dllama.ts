/**
 * distributed-llama and exo on two machines of one core each, over loopback, each with its part of every layer: answers and prompts of one
 * stream, in tokens per second. Rounds alternate. distributed-llama is in no package registry and reads files of its own format only, so
 * whoever has its program says where it is, with the files that its converters made of the checkpoint that the GGUF file is of:
 *
 *   DLLAMA=/path/dllama bun bench/dllama.ts MODEL.gguf MODEL.m TOKENIZER.t [rounds] [tokens]
 *
 * Its models have Q40 weights, which are Q4_0, and pass sums on in Q80; it takes prompts as text and tells itself how fast it was. Its
 * source as of commit 0203145 (src/dllama.cpp, src/app.cpp) says which options there are and what it prints.
 */
import { randomOf } from "#actors/supervisor/bench/random";
import { medianOf } from "#actors/supervisor/bench/statistics";
import { promptOf } from "./figures/sides.ts";
import { decodeMs, prefillMs } from "./figures/timing.ts";
import { dllamaSpeeds } from "./split/dllama-speeds.ts";
import { exoSides } from "./split/exo.ts";
import type { SplitSide } from "./split/side.ts";

const [gguf = "", model = "", tokenizer = "", rounds = "5", tokens = "64"] = process.argv.slice(2);
const { DLLAMA: program } = Bun.env;
if (program === undefined || tokenizer === "")
  throw new Error("DLLAMA=/path/dllama bun bench/dllama.ts MODEL.gguf MODEL.m TOKENIZER.t");
const PROMPT = 512;
const LISTENING_MS = 500;

const holder = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
const port = String(holder.port);
holder.stop(true);
await using stack = new AsyncDisposableStack();
const worker = Bun.spawn(["taskset", "-c", "1", program, "worker", "--port", port, "--nthreads", "1"], {
  stdout: "ignore",
});
stack.defer(async () => {
  worker.kill();
  await worker.exited;
});
await Bun.sleep(LISTENING_MS);

/** So many words as text: one token each, as far as its vocabulary has them whole. */
const text = Array.from({ length: PROMPT }, (_, at) => ["sea", "wind", "sand", "wave"][at % 4]).join(" ");

async function theirs() {
  const files = ["--model", model, "--tokenizer", tokenizer, "--prompt", text];
  const ways = ["--buffer-float-type", "q80", "--nthreads", "1", "--workers", `127.0.0.1:${port}`];
  const most = ["--steps", String(PROMPT + 1 + Number(tokens)), "--temperature", "0"];
  const child = Bun.spawn(["taskset", "-c", "0", String(program), "inference", ...files, ...most, ...ways], {
    stdout: "pipe",
  });
  return dllamaSpeeds(await child.stdout.text());
}

const { sides } = await exoSides(stack, gguf, ["tensor"]);
const [exo] = sides;
if (!exo) throw new Error(`${gguf} cannot be shared out`);
const random = randomOf(1, "dllama");
async function ours(side: SplitSide) {
  const [answer] = await side.run({ prompts: [promptOf(PROMPT, random)], output: Number(tokens) });
  if (!answer) throw new Error("no answer");
  return { prefill: 1000 / prefillMs(answer, PROMPT), decode: 1000 / decodeMs([answer]) };
}

await ours(exo);
await theirs();
const measured: Record<"exo" | "other", Awaited<ReturnType<typeof ours>>>[] = [];
for (let round = 0; round < Number(rounds); round++)
  measured.push({ exo: await ours(exo), other: await theirs() });
for (const what of ["decode", "prefill"] as const) {
  const of = (by: "exo" | "other") => medianOf(measured.map((each) => each[by][what])).toFixed(1);
  const ratios = measured.map((each) => each.exo[what] / each.other[what]);
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  console.log(
    `${what}: exo ${of("exo")} tok/s, distributed-llama ${of("other")} tok/s, ` +
      `ratio ${medianOf(ratios).toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`,
  );
}
