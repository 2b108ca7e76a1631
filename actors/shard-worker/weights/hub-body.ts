/** The body of a hub's answer, read with a watch on silence and a bound on length. */
import type { Clock } from "#actors/runtime/clock";
import { Problem } from "#protocol/problem";
import { cancelled, type HubAnswer, Passing, STALL_MS } from "./hub-request.ts";

/** Yields the body piece by piece; throws Passing when it breaks off or falls silent, Problem when cancelled. */
export async function* chunks(
  answer: HubAnswer,
  clock: Clock,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let stalled = false;
  const watch = () =>
    clock.after(STALL_MS, () => {
      stalled = true;
      answer.close();
    });
  let stopWatch = watch();
  try {
    if (answer.response.body === null) return;
    for await (const chunk of answer.response.body) {
      stopWatch();
      yield chunk;
      stopWatch = watch();
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    if (signal?.aborted) throw cancelled();
    throw new Passing(
      stalled ? `silent for ${STALL_MS / 1000} s` : `the connection broke (${String(error).slice(0, 80)})`,
    );
  } finally {
    stopWatch();
    answer.close();
  }
}

/** The whole body as JSON of at most `maxBytes`. */
export async function json(
  answer: HubAnswer,
  clock: Clock,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks(answer, clock, signal)) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) {
      throw new Problem(
        "tooLarge",
        `the hub's description of the repository is larger than ${maxBytes} bytes`,
        {
          remedy: "Check HF_ENDPOINT.",
        },
      );
    }
    pieces.push(chunk);
  }
  const text = Buffer.concat(pieces).toString("utf8");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Problem(
      "network",
      `the hub answered something that is not JSON: ${JSON.stringify(text.slice(0, 80))}`,
      {
        remedy: "Check HF_ENDPOINT and any proxy or sign-in page between.",
        cause,
      },
    );
  }
}
