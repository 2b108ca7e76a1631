/** The least that an echo and a stream over plain TCP take: what links are measured against. */
import type { Socket } from "bun";

interface Stream {
  /** Bytes still to write, with what follows them. */
  rest: Uint8Array | undefined;
  drained: () => void;
}

/** Listens on three ports: two send back what comes, one of them over TLS, the third answers one byte for each `total` bytes. */
export function listenPlain(total: number, tls: Bun.TLSOptions) {
  const echoing = (options: { readonly tls?: Bun.TLSOptions }) =>
    Bun.listen<undefined>({
      hostname: "127.0.0.1",
      port: 0,
      ...options,
      socket: {
        open: (socket) => void socket.setNoDelay(true),
        data: (socket, bytes) => void socket.write(bytes),
      },
    }).port;
  let counted = 0;
  const sink = Bun.listen<undefined>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes) {
        counted += bytes.length;
        if (counted < total) return;
        counted = 0;
        socket.write(new Uint8Array(1));
      },
    },
  });
  return { echo: echoing({}), sealed: echoing({ tls }), sink: sink.port };
}

export async function dialPlain(ports: ReturnType<typeof listenPlain>, tls: Bun.TLSOptions, bytes: number) {
  const payload = new Uint8Array(bytes).fill(7);
  let missing = 0;
  let heard = () => {};
  const connect = (
    port: number,
    data: (socket: Socket<Stream>, bytes: Uint8Array) => void,
    options: { readonly tls?: Bun.TLSOptions } = {},
  ) =>
    Bun.connect<Stream>({
      hostname: "127.0.0.1",
      port,
      ...options,
      data: { rest: undefined, drained: () => {} },
      socket: { data, drain: (socket) => pump(socket) },
    });
  const echo = async (port: number, options: { readonly tls?: Bun.TLSOptions }) => {
    const came = (_: unknown, { length }: Uint8Array) => {
      missing -= length;
      if (missing === 0) heard();
    };
    const socket = await connect(port, came, options);
    socket.setNoDelay(true);
    return () =>
      new Promise<void>((resolve) => {
        missing = bytes;
        heard = resolve;
        socket.write(payload);
      });
  };
  const sink = await connect(ports.sink, () => heard());
  return {
    echo: await echo(ports.echo, {}),
    sealedEcho: await echo(ports.sealed, { tls }),
    /** Bytes a second, until the other side has counted all. */
    async stream(total: number, body: Uint8Array): Promise<number> {
      const startMs = performance.now();
      const counted = new Promise<void>((resolve) => (heard = resolve));
      for (let sent = 0; sent < total; sent += body.length) await written(sink, body);
      await counted;
      return (total / (performance.now() - startMs)) * 1000;
    },
  };
}

function pump(socket: Socket<Stream>): void {
  const { rest } = socket.data;
  if (!rest) return;
  const taken = socket.write(rest);
  socket.data.rest = taken < rest.length ? rest.subarray(taken) : undefined;
  if (!socket.data.rest) socket.data.drained();
}

async function written(socket: Socket<Stream>, body: Uint8Array): Promise<void> {
  const taken = socket.write(body);
  if (taken === body.length) return;
  socket.data.rest = body.subarray(taken);
  await new Promise<void>((resolve) => (socket.data.drained = resolve));
}
