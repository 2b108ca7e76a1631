/** A command on a pseudo-terminal: types keys, waits for what appears. */
import { environmentOf, fromSource } from "./exo.ts";

export interface Typist extends AsyncDisposable {
  /** Sends keys as a terminal would. */
  type(keys: string): void;
  /** Waits until the text appears after everything that was waited for before; escape sequences are not seen. */
  sees(text: string): Promise<void>;
  readonly exited: Promise<number>;
  /** Everything shown so far, without escape sequences. */
  shown(): string;
}

export interface TypistOptions {
  readonly home: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
  /** From source where not said. */
  readonly command?: readonly string[];
}

/** What is waited for must come within this, or the test fails with what was shown. */
const PATIENCE_MS = 60_000;

export function typist(
  args: readonly string[],
  { home, env, columns = 80, command = fromSource }: TypistOptions,
): Typist {
  let raw = "";
  let seen = 0;
  let wake = () => {};
  const decoder = new TextDecoder();
  const child = Bun.spawn([...command, ...args], {
    env: environmentOf(home, env),
    cwd: home,
    terminal: {
      cols: columns,
      rows: 24,
      data(_, bytes) {
        raw += decoder.decode(bytes, { stream: true });
        wake();
      },
    },
  });
  const shown = () => Bun.stripANSI(raw).replaceAll("\r", "");
  return {
    type: (keys) => void child.terminal?.write(keys),
    async sees(text) {
      const deadline = AbortSignal.timeout(PATIENCE_MS);
      for (;;) {
        const at = shown().indexOf(text, seen);
        if (at >= 0) {
          seen = at + text.length;
          return;
        }
        if (deadline.aborted)
          throw new Error(
            `${JSON.stringify(text)} did not appear; shown since: ${JSON.stringify(shown().slice(seen))}`,
          );
        await new Promise<void>((resolve) => {
          wake = resolve;
          deadline.addEventListener("abort", () => resolve(), { once: true });
        });
      }
    },
    exited: child.exited,
    shown,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      child.terminal?.close();
    },
  };
}
