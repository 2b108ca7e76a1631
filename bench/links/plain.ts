/** The least that an echo and a stream over plain TCP take: what links are measured against. */
import type { Socket } from "bun";

interface Stream {
  /** Bytes still to write, with what follows them. */
  rest: Uint8Array | undefined;
  drained: () => void;
}

/** Listens on two ports: one sends back what comes, the other answers one byte for each `total` bytes. */
export function listenPlain(total: number): { readonly echo: number; readonly sink: number } {
  const echo = Bun.listen<undefined>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => void socket.setNoDelay(true),
      data: (socket, bytes) => void socket.write(bytes),
    },
  });
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
  return { echo: echo.port, sink: sink.port };
}

export async function dialPlain(echoPort: number, sinkPort: number, bytes: number) {
  const payload = new Uint8Array(bytes).fill(7);
  let missing = 0;
  let heard = () => {};
  const connect = (port: number, data: (socket: Socket<Stream>, bytes: Uint8Array) => void) =>
    Bun.connect<Stream>({
      hostname: "127.0.0.1",
      port,
      data: { rest: undefined, drained: () => {} },
      socket: { data, drain: (socket) => pump(socket) },
    });
  const echo = await connect(echoPort, (_, { length }) => {
    missing -= length;
    if (missing === 0) heard();
  });
  echo.setNoDelay(true);
  const sink = await connect(sinkPort, () => heard());
  return {
    echo: () =>
      new Promise<void>((resolve) => {
        missing = bytes;
        heard = resolve;
        echo.write(payload);
      }),
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
