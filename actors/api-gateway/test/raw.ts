/** A TCP client that sends just the bytes it is told to, as no well-behaved library would. For tests only. */

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

export interface RawClient {
  write(text: string): void;
  /** Everything that came until the other side closed. */
  closed: Promise<string>;
  /** Resolves once what came matches. */
  heard(pattern: RegExp): Promise<string>;
  /** Takes nothing more of what comes. */
  pause(): void;
  end(): void;
}

export async function connect(port: number, hostname = "127.0.0.1"): Promise<RawClient> {
  let text = "";
  const closed = Promise.withResolvers<string>();
  const waiting = new Set<() => void>();
  const socket = await Bun.connect({
    hostname,
    port,
    socket: {
      data(_, bytes) {
        text += bytes.toString("latin1");
        for (const each of waiting) each();
      },
      close: () => closed.resolve(text),
      error: () => closed.resolve(text),
    },
  });
  return {
    write: (bytes) => void socket.write(bytes),
    closed: closed.promise,
    heard: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!pattern.test(text)) return;
          waiting.delete(look);
          resolve(text);
        };
        waiting.add(look);
        void closed.promise.then(() =>
          reject(new Error(`closed after ${JSON.stringify(text.slice(0, 300))}`)),
        );
        look();
      }),
    pause: () => socket.pause(),
    end: () => void socket.end(),
  };
}

/** One request on a connection of its own, and its answer; status 0 when it was closed without one. */
export async function send(port: number, request: string, hostname?: string): Promise<RawAnswer> {
  const client = await connect(port, hostname);
  client.write(request);
  const answer = await Promise.race([client.heard(WHOLE).catch(() => client.closed), client.closed]);
  client.end();
  return parsed(answer);
}

/** Headers and, as far as they say it, the body. */
const WHOLE =
  /^HTTP\/1\.1 (?:204|304)[\s\S]*\r\n\r\n|content-length: (?:0\r\n[\s\S]*\r\n\r\n|[\s\S]*\r\n\r\n[\s\S]+)/i;

function parsed(answer: string): RawAnswer {
  const [head = "", ...body] = answer.split("\r\n\r\n");
  const [line = "", ...fields] = head.split("\r\n");
  const headers = new Headers();
  for (const field of fields) {
    const at = field.indexOf(":");
    headers.append(field.slice(0, at), field.slice(at + 1).trim());
  }
  return { status: Number(line.split(" ")[1] ?? 0), headers, body: body.join("\r\n\r\n") };
}
