/**
 * What `exo bench` itself adds to the figures: a server in a process of its own sends pieces at an exact pace and notes
 * when each one left; the same gaps as the client reports them are set beside. Also the client's processor time.
 *
 *   bun bench/client.ts [dist/exo]
 *
 * Not measured: the network's own jitter (it is the loopback), and the time to compute anything.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Report } from "#actors/supervisor/bench/report";
import { percentile } from "#actors/supervisor/bench/statistics";
import { table } from "#actors/supervisor/terminal/table";

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** One answer under way: a piece every `gapMs` from `startMs` on. */
interface Stream {
  readonly socket: Socket;
  readonly startMs: number;
  readonly gapMs: number;
  readonly pieces: number;
  readonly number: number;
  readonly sentMs: number[];
}

/** Sends by spinning, so that no timer's grain is in the pace; ends when its standard input does. */
function serve(gapMs: number): void {
  const streams = new Set<Stream>();
  const noted: number[][] = [];
  const spin = () => {
    const now = nowMs();
    for (const stream of streams) {
      if (now < stream.startMs + stream.sentMs.length * stream.gapMs) continue;
      stream.sentMs.push(now);
      stream.socket.write(chunk({ choices: [{ delta: { content: "x" } }] }));
      if (stream.sentMs.length < stream.pieces) continue;
      streams.delete(stream);
      noted[stream.number] = stream.sentMs;
      const usage = { prompt_tokens: stream.number, completion_tokens: stream.pieces };
      stream.socket.end(`${chunk({ choices: [{ delta: {}, finish_reason: "length" }], usage })}0\r\n\r\n`);
    }
    if (streams.size > 0) setImmediate(spin);
  };
  const answer = (socket: Socket, path: string, body: string) => {
    if (path === "/times") return whole(socket, noted);
    const asked = JSON.parse(body || "{}");
    if (asked.stream !== true)
      return whole(socket, {
        choices: [{ message: { content: "x" } }],
        usage: { prompt_tokens: 1, completion_tokens: 1 },
      });
    socket.setNoDelay(true);
    socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    const number = noted.push([]) - 1;
    const startMs = nowMs() + gapMs;
    streams.add({ socket, startMs, gapMs, pieces: asked.max_tokens, number, sentMs: [] });
    if (streams.size === 1) spin();
  };
  const server = createServer((socket) => {
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes;
      const end = text.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (end < 0 || text.length < end + 4 + length) return;
      const path = text.split(" ")[1] ?? "";
      const body = text.slice(end + 4);
      text = "";
      answer(socket, path, body);
    });
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1", () => console.log(JSON.stringify(server.address())));
}

function chunk(event: object): string {
  const text = `data: ${JSON.stringify(event)}\n\n`;
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

function whole(socket: Socket, answer: object): void {
  const text = JSON.stringify(answer);
  socket.end(
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
  );
}

interface Found {
  readonly streams: number;
  readonly gapMs: number;
  /** Client's gap less the server's own, of every piece, ms. */
  readonly added: readonly number[];
  /** How far the server itself was from its pace. */
  readonly serverOff: readonly number[];
  readonly clientCpu: number;
  readonly itlP50: number;
}

async function measured(command: readonly string[], streams: number, gapMs: number): Promise<Found> {
  const server = Bun.spawn([process.execPath, import.meta.path, "--server", String(gapMs)], {
    stdin: "pipe",
    stdout: "pipe",
  });
  const folder = mkdtempSync(join(tmpdir(), "exo-client-"));
  try {
    const { value } = await server.stdout.getReader().read();
    const { port } = JSON.parse(new TextDecoder().decode(value));
    const origin = `http://127.0.0.1:${port}`;
    const pieces = Math.round(SECONDS * (1000 / gapMs));
    const args = [
      "bench",
      "m",
      "--url",
      origin,
      "--api",
      "chat",
      "-p",
      "8",
      "-n",
      `${pieces}`,
      "-c",
      `${streams}`,
    ];
    const child = Bun.spawn([...command, ...args, "-r", "1", "--warmup", "1", "--json"], {
      cwd: folder,
      env: { ...process.env, EXO_HOME: folder },
      stdin: "ignore",
      stderr: "ignore",
    });
    const report: Report = JSON.parse(await new Response(child.stdout).text());
    const times = (await (await fetch(`${origin}/times`)).json()) as number[][];
    return foundIn(report, times, { streams, gapMs });
  } finally {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

const SECONDS = 4;

function foundIn(
  report: Report,
  times: readonly number[][],
  { streams, gapMs }: { streams: number; gapMs: number },
): Found {
  const [cell] = report.cells;
  const samples = cell?.runs.flatMap((run) => run.samples) ?? [];
  const gapsOf = (sent: readonly number[]) => sent.slice(1).map((at, i) => at - (sent[i] ?? at));
  // The server says a request's number as its count of prompt tokens.
  const pairs = samples.flatMap(({ pieces, promptTokens }) => {
    const sent = gapsOf(times[promptTokens] ?? []);
    return pieces.slice(1).flatMap(([gap], i) => (sent[i] === undefined ? [] : [[gap, sent[i]] as const]));
  });
  return {
    streams,
    gapMs,
    added: pairs.map(([client, sent]) => client - sent),
    serverOff: pairs.map(([, sent]) => sent - gapMs),
    clientCpu: cell?.summary.clientCpu ?? Number.NaN,
    itlP50: cell?.summary.itl?.p50 ?? Number.NaN,
  };
}

const CASES: readonly (readonly [streams: number, gapMs: number])[] = [
  [1, 20],
  [1, 5],
  [1, 1],
  [16, 20],
  [64, 20],
];

async function main(command: readonly string[]): Promise<void> {
  const rows: string[][] = [];
  for (const [streams, gapMs] of CASES) {
    const { added, serverOff, clientCpu, itlP50 } = await measured(command, streams, gapMs);
    const sizes = added.map(Math.abs).toSorted((a, b) => a - b);
    const off = serverOff.map(Math.abs).toSorted((a, b) => a - b);
    const shown = (p: number) => percentile(sizes, p).toFixed(3);
    rows.push([
      `${streams} × ${gapMs} ms`,
      `${Math.round((streams * 1000) / gapMs)}`,
      String(added.length),
      itlP50.toFixed(3),
      shown(50),
      shown(90),
      shown(99),
      percentile(off, 99).toFixed(3),
      `${(clientCpu * 100).toFixed(1)} %`,
    ]);
  }
  const headers = [
    "streams × pace",
    "pieces/s",
    "gaps",
    "ITL p50 ms",
    "|added| p50 ms",
    "p90",
    "p99",
    "server's own p99",
    "client's core",
  ];
  console.log(table(headers, rows));
}

const [first, second] = process.argv.slice(2);
if (first === "--server") serve(Number(second));
else await main([resolve(first ?? "dist/exo")]);
