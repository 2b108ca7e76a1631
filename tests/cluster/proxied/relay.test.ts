import { expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Road, relay } from "./relay.ts";

setDefaultTimeout(60_000);

/** A connection through a relay, and its other end. */
async function ends() {
  const stack = new AsyncDisposableStack();
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  stack.defer(() => void server.close());
  await once(server, "listening");
  const address = server.address();
  const [there, back] = [new Road(), new Road()];
  const to = typeof address === "object" ? (address?.port ?? 0) : 0;
  const { port } = stack.use(await relay({ to, there, back }));
  const near = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [far] = (await once(server, "connection")) as [Socket];
  for (const socket of [near, far])
    stack.defer(() => {
      socket.destroy();
    });
  return { near, far, there, back, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** All that came, and whether it ended well. */
async function heard(socket: Socket): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  let bytes = 0;
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      hasher.update(chunk);
      bytes += chunk.length;
    }
    return `${bytes} ${hasher.digest("hex")}`;
  } catch {
    return `${bytes} and broken off`;
  }
}

const BYTES = Buffer.alloc(8 << 20, "the sea is never still ");
const WHOLE = `${BYTES.length} ${Bun.CryptoHasher.hash("sha256", BYTES, "hex")}`;

test("what is sent into a cut stays there, the other direction goes on, and after healing all of it arrives", async () => {
  await using both = await ends();
  const { near, far, there } = both;
  there.cut();
  near.end(BYTES);
  far.end(BYTES);
  const back = await heard(near);
  const cut = far.bytesRead;
  there.heal();
  expect({ back, cut, after: await heard(far) }).toEqual({
    back: WHOLE,
    cut: 0,
    after: WHOLE,
  });
});

test("an end within a cut is heard of after it, a reset as a reset, and one of nobody's port at once", async () => {
  await using both = await ends();
  both.there.cut();
  both.near.resetAndDestroy();
  await once(both.near, "close");
  const isOpen = !both.far.readableEnded && !both.far.destroyed;
  both.there.heal();
  const after = await heard(both.far);
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const to = typeof address === "object" ? (address?.port ?? 0) : 0;
  server.close();
  await once(server, "close");
  await using none = await relay({ to, there: new Road(), back: new Road() });
  const nobody = await heard(connect({ port: none.port, host: "127.0.0.1" }));
  expect({ isOpen, after, nobody }).toEqual({
    isOpen: true,
    after: "0 and broken off",
    nobody: "0 and broken off",
  });
});
