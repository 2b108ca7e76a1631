/** Streamed answers of a home of real processes, with how long they paused. */
import { msUntil, type Running } from "./processes.ts";

/** Every machine sees every other one. */
export const linked = (all: readonly Running[], patienceMs?: number) =>
  msUntil(
    all,
    (view) =>
      Object.values(view).length === all.length &&
      Object.values(view).every((state) => /^(self|up)/.test(state)),
    patienceMs,
  );

/** Always the same, and long enough to be cut in the middle. */
export const STORY = {
  model: "smollm2",
  stream: true,
  temperature: 0,
  max_tokens: 80,
  messages: [{ role: "user", content: "Tell me a long story of the sea." }],
};
/** What a killed machine may cost: eight seconds beside loading what it held, and tenfold on a machine that does much else. */
export const PAUSE_MS_MAX = 80_000;

/** The text of a streamed answer, how long it paused at most, and what it was ended by if not by itself. */
export async function streamed(url: string, onPiece: (count: number) => void, more: object = {}) {
  const body = JSON.stringify({ ...STORY, ...more });
  const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", body });
  let [text, rest, problem] = ["", "", ""];
  let [pieces, pauseMs, lastMs] = [0, 0, performance.now()];
  for await (const chunk of answer.body ?? []) {
    const lines = (rest + new TextDecoder().decode(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.filter((each) => each.startsWith("data: {"))) {
      const { error, choices } = JSON.parse(line.slice("data: ".length));
      problem ||= error?.message ?? "";
      const piece: string = choices?.[0]?.delta?.content ?? "";
      if (piece === "") continue;
      text += piece;
      pauseMs = Math.max(pauseMs, performance.now() - lastMs);
      lastMs = performance.now();
      onPiece(++pieces);
    }
  }
  return { text, pauseMs, problem };
}
