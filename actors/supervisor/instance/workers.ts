/** Worker processes: this binary, started again in the role of a shard worker, with one link each. */
import type { Clock } from "#actors/runtime/clock";
import { readText } from "#actors/runtime/machine/system-files";
import { CHILD_FD, ChildLink } from "#actors/runtime/transport/child";
import type { Transport } from "#actors/runtime/transport/transport";
import type { Envelope } from "#protocol/codec";
import { ProtocolError } from "#protocol/message";

/** How to start this program again as a worker, and with what. */
export interface WorkerCommand {
  /** The program and its first arguments, up to the worker's own. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface WorkerProcess {
  readonly pid: number;
  readonly link: Transport;
  /** Requests given to it and not yet ended. */
  requests(): number;
  /** Since the last of them ended, or since it was started; 0 while there is one. */
  idleMs(): number;
  /** Calls back once, when every request given to it has ended: at once where none is left. */
  whenIdle(run: () => void): void;
  /** Asks it to end, and kills it after the grace period. */
  end(): void;
}

/**
 * Why a worker ended, in a sentence. `lost`: it ended itself, as it waited for workers of other machines in vain; that is no fault of
 * its own.
 */
export type Exited = (reason: string, how?: "lost") => void;

/** With which a worker ends itself that hangs in a sum with others: EXO_DEADLINE_STATUS of mlx-c/shim/collectives.h. */
const WAITED_STATUS = 75;

/** A worker that has work and says nothing for so long hangs: longer than any single prefill chunk on a slow CPU. */
const SILENCE_MS = 300_000;
const WATCH_EVERY_MS = 2_000;
/** From the end of its link to SIGKILL. */
const GRACE_MS = 3_000;
/** The last words of a worker, kept to explain its death. */
const STDERR_KEPT = 8_192;

/** Starts one worker. `exited` is called once. */
export function startWorker(
  { command, env }: WorkerCommand,
  args: readonly string[],
  clock: Clock,
  exited: Exited,
): WorkerProcess {
  const heard = watch(clock, {
    isStopped: () => isStopped(child.pid),
    hang: () => child.kill("SIGKILL"),
  });
  const child = Bun.spawn([...command, ...args], {
    env: { ...env, DO_NOT_TRACK: "1", BUN_OPTIONS: undefined, BUN_BE_BUN: undefined },
    stdio: ["ignore", "ignore", "pipe", "socket-fd"],
  });
  const fd = child.stdio[CHILD_FD];
  if (typeof fd !== "number") throw new Error("a child process without a way to it");
  const raw = new ChildLink(fd, { ended: (error) => unlinked(error) });
  const link = heard.listening(raw);
  const lastWords = tail(child.stderr);

  let killed: string | undefined;
  const kill = (why: string) => {
    killed = why;
    child.kill("SIGKILL");
  };

  /** As a rule because the process ends; one that goes on without its link is of no use. */
  function unlinked(error: Error | undefined): void {
    if (error instanceof ProtocolError) {
      console.error(`worker ${child.pid} spoke nonsense and is ended: ${String(error)}`);
      kill(`the worker spoke nonsense and was ended: ${error.message}`);
    } else if (error) {
      console.error(`exo itself failed to hear worker ${child.pid}, which is ended: ${error.stack ?? error}`);
      kill(`the worker was ended, as exo itself failed to hear it: ${error.message}`);
    } else {
      const why = `the worker lost its link, went on for ${GRACE_MS / 1000} s and was ended`;
      const cancel = clock.after(GRACE_MS, () => kill(why));
      void child.exited.then(cancel);
    }
  }

  void child.exited.then(async () => {
    heard.stop();
    const reason = causeOfDeath(child.exitCode, child.signalCode, heard.hung() ?? killed, await lastWords);
    raw.closed(reason);
    exited(reason, child.exitCode === WAITED_STATUS ? "lost" : undefined);
  });

  return {
    pid: child.pid,
    link,
    requests: heard.requests,
    idleMs: heard.idleMs,
    whenIdle: heard.whenIdle,
    end() {
      child.kill("SIGTERM");
      const cancel = clock.after(GRACE_MS, () => child.kill("SIGKILL"));
      void child.exited.then(cancel);
    },
  };
}

/** Whether somebody stopped the process (SIGSTOP), as proc(5) tells; never so where the system does not say. */
const isStopped = (pid: number): boolean => /^\d+ \(.*\) T /s.test(readText(`/proc/${pid}/stat`) ?? "");

/** Looks at which a worker is stopped, one after the other: one that was stopped with this process goes on with it. */
const STOPPED_LOOKS = 2;
/** From the first to the second: with the one before, a stopped worker counts as dead within three seconds. */
const STOPPED_MS = 1_000;

interface Watched {
  readonly isStopped: () => boolean;
  readonly hang: () => void;
}

/** Counts what a worker owes, and calls `hang` when it owes something and has been silent for SILENCE_MS, or is stopped. */
function watch(clock: Clock, { isStopped: stopped, hang }: Watched) {
  const open = new Set<string>();
  const idle: (() => void)[] = [];
  let loading = false;
  let heardMs = clock.nowMs();
  /** When it was last given a request, or had none any more. */
  let usedMs = heardMs;
  let stoppedLooks = 0;
  let hung: string | undefined;
  let cancel = clock.after(WATCH_EVERY_MS, look);

  function look(): void {
    const owes = loading || open.size > 0;
    stoppedLooks = stopped() ? stoppedLooks + 1 : 0;
    if (stoppedLooks >= STOPPED_LOOKS) hung = "the worker was stopped (SIGSTOP) and was ended";
    if (owes && clock.nowMs() - heardMs > SILENCE_MS)
      hung = `the worker said nothing for ${SILENCE_MS / 1000} s and was ended`;
    if (hung !== undefined) {
      hang();
      return;
    }
    cancel = clock.after(stoppedLooks > 0 ? STOPPED_MS : WATCH_EVERY_MS, look);
  }

  function sent({ message }: Envelope): void {
    if (open.size === 0 && !loading) heardMs = clock.nowMs();
    if (message.type === "ShardWorker.Load") loading = true;
    if (message.type !== "ShardWorker.Generate") return;
    open.add((message as GenerateLike).generation.id);
    usedMs = clock.nowMs();
  }

  function received({ message }: Envelope): void {
    heardMs = clock.nowMs();
    if (message.type === "ShardWorkerReply.Loaded" || message.type === "ShardWorkerReply.LoadFailed")
      loading = false;
    if (ends(message) && open.delete((message as ReplyLike).request)) usedMs = heardMs;
    if (open.size === 0) for (const run of idle.splice(0)) run();
  }

  return {
    listening: (raw: Transport): Transport => ({
      send(envelope, isLent) {
        const taken = raw.send(envelope, isLent);
        if (taken) sent(envelope);
        return taken;
      },
      pause: () => raw.pause?.(),
      resume: () => raw.resume?.(),
      close: () => raw.close(),
      set onReceive(receive: Transport["onReceive"]) {
        raw.onReceive = (envelope, isLent) => {
          received(envelope);
          receive(envelope, isLent);
        };
      },
      set onDrain(drained: () => void) {
        raw.onDrain = drained;
      },
      set onClose(close: (reason: string) => void) {
        raw.onClose = close;
      },
    }),
    requests: () => open.size,
    idleMs: () => (open.size > 0 ? 0 : clock.nowMs() - usedMs),
    whenIdle: (run: () => void) => (open.size === 0 ? run() : void idle.push(run)),
    hung: () => hung,
    stop: () => cancel(),
  };
}

interface GenerateLike {
  readonly type: string;
  readonly generation: { readonly id: string };
}

interface ReplyLike {
  readonly type: string;
  readonly request: string;
  readonly delta?: { readonly type: string };
}

const ends = (message: { readonly type: string }): boolean =>
  message.type === "GenerationReply.Failed" ||
  (message.type === "GenerationReply.Delta" && (message as ReplyLike).delta?.type === "finish");

async function tail(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let kept = "";
  for await (const chunk of stream)
    kept = (kept + decoder.decode(chunk, { stream: true })).slice(-STDERR_KEPT);
  return kept;
}

function causeOfDeath(
  code: number | null,
  signal: string | number | null,
  ended: string | undefined,
  words: string,
): string {
  if (ended !== undefined) return ended;
  const lastLine = words.trim().split("\n").at(-1);
  if (code === WAITED_STATUS && lastLine) return `the worker ended itself: ${lastLine}`;
  const killed = signal === "SIGKILL" ? ", as systems do that run out of memory" : "";
  const how = signal ? `was ended by ${signal}${killed}` : `ended with status ${code}`;
  return lastLine ? `the worker ${how}: ${lastLine}` : `the worker ${how}`;
}
