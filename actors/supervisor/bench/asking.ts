/** Questions beside the measured ones, whose answers are read whole: within a time, and as JSON or not at all. */
import type { Clock } from "#actors/runtime/clock";
import { Problem } from "#protocol/problem";
import { reasonOf } from "./dialects/dialect.ts";
import type { Wire } from "./wire.ts";

export interface AskPorts {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Of one question. */
  readonly timeoutMs: number;
}

export interface Whole {
  readonly status: number;
  /** Undefined where the answer is no JSON. */
  readonly json: unknown;
  readonly text: string;
}

/** An answer of any status; throws Problem where none comes in time. */
export async function askWhole(ports: AskPorts, path: string, body: object): Promise<Whole> {
  const { wire, clock, signal, timeoutMs } = ports;
  const timeout = new AbortController();
  const cancel = clock.after(timeoutMs, () => timeout.abort());
  try {
    const both = AbortSignal.any([signal, timeout.signal]);
    const { status, text } = await orAborted(
      (async () => {
        const answer = await wire.post(path, body, both);
        return { status: answer.status, text: await answer.text() };
      })(),
      both,
    );
    return { status, text, json: jsonIn(text) };
  } catch (error) {
    if (signal.aborted || !timeout.signal.aborted) throw error;
    throw new Problem("network", `${wire.url}${path} gave no answer within ${timeoutMs / 1000} s`, {
      remedy: "see that the server is well; timeout: in the config gives it longer",
    });
  } finally {
    cancel();
  }
}

/** A wire that does not hear the signal must not keep the benchmark waiting. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) return aborted();
    signal.addEventListener("abort", aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a page, or half an answer: whoever asked says what it should have been.
  }
}

/** The Problem of an answer that is no use. */
export function refusal({ status, text }: Whole, url: string): Problem {
  const isHere = status < 400;
  const reason = isHere
    ? `it answers what is no JSON: ${reasonOf(text) || "nothing"}`
    : reasonOf(text, status);
  const kind = status === 404 ? "notFound" : status === 401 ? "unauthorised" : "unavailable";
  const isBare = (kind === "notFound" || isHere) && !/\/v\d+\//.test(url);
  return new Problem(kind, `${url} refuses a first request: ${reason}`, {
    remedy: isBare
      ? "most of these APIs live under /v1: add it to the URL"
      : "see target.url, target.api, the model's name and the key (key_env)",
  });
}
