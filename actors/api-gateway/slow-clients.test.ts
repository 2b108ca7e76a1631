import { expect, test } from "bun:test";
import { createGateway, type Gateway } from "./serve.ts";
import { fakePorts } from "./test/fake-ports.ts";
import { connect } from "./test/raw.ts";

const path = "/v1/chat/completions";
const hello = { model: "smollm2", messages: [{ role: "user", content: "Hi" }] };

// What ends here is ended by Bun's own timers, which no test can turn: these tests take their time side by side.

test.concurrent("T20: headers that trickle are cut, on a fresh connection and after an answer, whole or streamed", async () => {
  await using gateway = stopped(createGateway(fakePorts(["Hi"]), { host: "127.0.0.1", port: 0 }));
  const { port } = gateway;
  const head = `Host: localhost:${port}\r\nX-Slow: `;
  const [fresh, used, streamed] = [await connect(port), await connect(port), await connect(port)];
  const ask = (stream: boolean) => {
    const body = JSON.stringify({ ...hello, stream });
    return `POST ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  };
  used.write(ask(false));
  streamed.write(ask(true));
  await used.heard(/finish_reason/);
  await streamed.heard(/0\r\n\r\n$/);
  const start = performance.now();
  const clients = [fresh, used, streamed];
  for (const client of clients) client.write(`GET /healthz HTTP/1.1\r\n${head}`);
  const drip = setInterval(() => {
    for (const client of clients) client.write("y");
  }, 250);
  const ends = await Promise.all(
    clients.map((client) => client.closed.then(() => performance.now() - start)),
  );
  clearInterval(drip);
  expect(ends.map((ms) => ms < HEADERS_MS_MAX)).toEqual([true, true, true]);
}, 120_000);

/**
 * Five seconds by the table of limits; ten of Bun's own for the first headers; its timers turn every four. Where others want the processor
 * too, each of these is late; who is not cut goes on for ever.
 */
const HEADERS_MS_MAX = 60_000;

test.concurrent("T20: who does not read its stream is cut, and the work for it ends; who reads slowly is not", async () => {
  const left: string[] = [];
  const ports = fakePorts([], {
    async *generate({ model }, signal) {
      yield { type: "started", promptTokens: [1] };
      const gone = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      void gone.then(() => left.push(model));
      if (model === "patient") {
        yield { type: "text", text: "Hel", tokens: [3] };
        await gone;
      }
      while (!signal.aborted) yield { type: "text", text: "x".repeat(65_536), tokens: [1] };
    },
  });
  await using gateway = stopped(createGateway(ports, { host: "127.0.0.1", port: 0, stallSeconds: 9 }));
  const ask = (model: string) => {
    const body = JSON.stringify({ ...hello, model, stream: true });
    return `POST ${path} HTTP/1.1\r\nHost: localhost:${gateway.port}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  };
  const [stuck, patient] = [await connect(gateway.port), await connect(gateway.port)];
  stuck.pause();
  stuck.write(ask("stuck"));
  patient.write(ask("patient"));
  await patient.heard(/keep-alive[\s\S]*keep-alive/);
  expect(left).toEqual(["stuck"]);
  patient.end();
  stuck.end();
}, 120_000);

/** A gateway that goes when the scope ends. */
const stopped = (gateway: Gateway): Gateway & AsyncDisposable => ({
  ...gateway,
  [Symbol.asyncDispose]: () => gateway.stop(),
});
