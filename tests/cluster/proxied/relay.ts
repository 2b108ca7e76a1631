/** TCP through this process, on loopback alone: what stands where a cable would, so that it can be pulled. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

const LOOPBACK = "127.0.0.1";

/** One direction between two machines, for all connections that go there. */
export class Road {
  #healed: PromiseWithResolvers<void> | undefined;

  /** From now on nothing arrives, neither bytes nor an end, and nobody is told. */
  cut(): void {
    this.#healed ??= Promise.withResolvers();
  }

  /** What was under way arrives after all, as TCP sends again what a cable lost. */
  heal(): void {
    this.#healed?.resolve();
    this.#healed = undefined;
  }

  get isCut(): boolean {
    return this.#healed !== undefined;
  }

  /** Resolves at once, or when it is healed. */
  async open(): Promise<void> {
    while (this.#healed) await this.#healed.promise;
  }
}

export interface Ends {
  /** A port of this machine, where somebody listens or not. */
  readonly to: number;
  readonly there: Road;
  readonly back: Road;
}

export interface Relay extends AsyncDisposable {
  readonly port: number;
}

/** Listens, and carries whoever connects. Each connection and direction has one chunk in hand at most, besides what the streams hold. */
export async function relay({ to, there, back }: Ends): Promise<Relay> {
  const open = new Set<Socket>();
  const held = (socket: Socket) => {
    open.add(socket);
    socket.setNoDelay(true);
    // Whoever carries from it or to it hears of it too.
    socket.on("error", () => {}).on("close", () => open.delete(socket));
    return socket;
  };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    held(near);
    const far = held(connect({ port: to, host: LOOPBACK, allowHalfOpen: true }));
    void carry(near, far, there);
    void carry(far, near, back);
  });
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a relay has a port");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** Until an end or a reset, which go the same way. */
async function carry(from: Socket, to: Socket, road: Road): Promise<void> {
  try {
    // Whose stream was read to its end may still be written to.
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      await road.open();
      if (!to.write(chunk)) await Promise.race([once(to, "drain"), once(to, "close")]);
    }
    await road.open();
    to.end();
  } catch {
    await road.open();
    to.resetAndDestroy();
  }
}
