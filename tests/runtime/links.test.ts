/** Links between nodes of different versions, and under load: real TLS on loopback. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ShardWorker } from "#protocol/shard-worker";
import { Supervisor, SupervisorReply } from "#protocol/supervisor";
import { TlsNodes } from "./tls-nodes.ts";

setDefaultTimeout(180_000);

const TENSOR_BYTES = 16 * 1024 * 1024;
/** Of such a stream, before the answer to a question that is asked meanwhile: the one under way, and one of which most lies in the system. */
const TENSORS_BEFORE = 2;
/** What a link keeps waiting at most, beside the frame that crossed the mark. */
const WAITING_BYTES = 1024 * 1024;

let nodes: TlsNodes;
beforeEach(() => {
  nodes = new TlsNodes();
});
afterEach(() => nodes.close());

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

describe("nodes of different versions", () => {
  test("speak the older one's, whoever dials", async () => {
    const [older, newer] = [
      await nodes.start({ minor: 2, oldest: 1 }),
      await nodes.start({ minor: 3, oldest: 2 }),
    ];
    const up = await nodes.link(older, newer, "control");
    const down = await nodes.link(newer, older, "control");
    expect([up.near, up.far, down.near, down.far].map(({ peer }) => peer.minor)).toEqual([2, 2, 2, 2]);
  });

  test("T7 too far apart are refused by name, whoever dials", async () => {
    const [old, fresh] = [
      await nodes.start({ minor: 2, oldest: 1 }),
      await nodes.start({ minor: 4, oldest: 3 }),
    ];
    for (const [from, to] of [
      [old, fresh],
      [fresh, old],
    ] as const)
      await nodes.link(from, to, "control").catch(() => {});
    expect([fresh.refused, old.refused].map((why) => why[0])).toEqual([
      "protocol 1.2 is too far from 1.4: update exo there or here",
      "protocol 1.4 is too far from 1.2: update exo there or here",
    ]);
  });

  test("pass over unknown fields, refuse unknown messages by name, and the link goes on", async () => {
    const [here, there] = [await nodes.start(), await nodes.start()];
    await nodes.join(here, there);
    const heard: string[] = [];
    const to = there.system.spawn("listener", ({ message, reply }) => {
      heard.push(JSON.stringify(message));
      reply(SupervisorReply.Stopped({ model: "m" }));
    });
    const me = here.system.address("me");
    const ask = (message: { type: string }) => here.system.ask(to, message, me, 5000).catch(messageOf);
    here.system.send(to, { type: "ShardWorker.Telepathy" }, me);
    const answers = [
      await ask({ ...ShardWorker.Unload({}), mood: "new" } as { type: string }),
      await ask({ type: "ShardWorker.Teleport" }),
      await ask(ShardWorker.Unload({})),
    ];
    expect({ answers, heard }).toEqual({
      answers: [
        SupervisorReply.Stopped({ model: "m" }),
        `${there.id}: unknown message ShardWorker.Teleport`,
        SupervisorReply.Stopped({ model: "m" }),
      ],
      heard: ['{"type":"ShardWorker.Unload","mood":"new"}', '{"type":"ShardWorker.Unload"}'],
    });
  });
});

describe("a stream of tensors", () => {
  test(`holds up no question on the control lane for longer than ${TENSORS_BEFORE} of them take`, async () => {
    const [here, there] = [await nodes.start(), await nodes.start()];
    await nodes.join(here, there);
    const { near, far } = await nodes.link(here, there, "data");
    let received = 0;
    far.onBody = (_, body) => {
      received += body.length;
    };
    const to = there.system.spawn("echo", ({ reply }) => reply(SupervisorReply.Stopped({ model: "m" })));
    const me = here.system.address("me");
    const tensor = new Uint8Array(TENSOR_BYTES);
    const envelope = { to, from: me, message: Supervisor.List({}) };
    const more = () => {
      while (near.sendBody(envelope, tensor));
    };
    near.onDrain = more;
    more();
    // Measured in tensors, which are slow where the question is.
    const came: number[] = [];
    while (received < 20 * TENSOR_BYTES) {
      const before = received;
      await here.system.ask(to, Supervisor.List({}), me, 60_000);
      came.push((received - before) / TENSOR_BYTES);
      await turn();
    }
    near.onDrain = () => {};
    expect({ asked: came.length > 5, most: Math.max(...came) <= TENSORS_BEFORE || came }).toEqual({
      asked: true,
      most: true,
    });
  });

  test("to a receiver that is behind costs its sender no more than the mark and a frame, and loses nothing", async () => {
    const [here, there] = [await nodes.start(), await nodes.start()];
    const { near, far } = await nodes.link(here, there, "data");
    const numbers: number[] = [];
    far.onBody = (_, body) => numbers.push(body[0] ?? 0);
    far.pause();
    const body = new Uint8Array(256 * 1024);
    const to = there.system.address("sink");
    const send = () =>
      near.sendBody({ to, from: here.system.address("me"), message: Supervisor.List({}) }, body);
    let sent = 0;
    let most = 0;
    for (let quiet = 0; quiet < 20; quiet++) {
      body[0] = sent % 256;
      for (; send(); body[0] = sent % 256) {
        sent += 1;
        quiet = 0;
      }
      most = Math.max(most, near.waitingBytes);
      await turn();
    }
    const drained = new Promise<void>((resolve) => {
      near.onDrain = resolve;
    });
    const before = numbers.length;
    far.resume();
    await drained;
    while (numbers.length < sent) await turn();
    expect({
      before,
      bounded: most <= WAITING_BYTES + 2 * body.length,
      whole: numbers.every((number, i) => number === i % 256),
    }).toEqual({ before: 0, bounded: true, whole: true });
  });

  test("arrives whole, copied or given away, small and large in turn", async () => {
    const [here, there] = [await nodes.start(), await nodes.start()];
    const { near, far } = await nodes.link(here, there, "data");
    const digest = (bytes: Uint8Array) => `${bytes.length} ${Bun.hash(bytes)}`;
    const got: string[] = [];
    far.onBody = (_, body) => got.push(digest(body));
    const envelope = {
      to: there.system.address("sink"),
      from: here.system.address("me"),
      message: Supervisor.List({}),
    };
    const sent: string[] = [];
    for (let i = 0; i < 24; i++) {
      const body = new Uint8Array(i % 3 === 0 ? 3000 + i : 900_000 + 17 * i).map(
        (_, at) => (at * 31 + i) % 251,
      );
      sent.push(digest(body));
      const isGiven = i % 2 === 0;
      while (!near.sendBody(envelope, body, isGiven)) await turn();
      if (!isGiven) body.fill(0);
    }
    while (got.length < sent.length) await turn();
    expect(got).toEqual(sent);
  });
});

describe("what fails here while a link is heard", () => {
  test("ends the link, is said to who looks after it, and is no fault of the peer's", async () => {
    const [here, there] = [await nodes.start(), await nodes.start()];
    const { near, far } = await nodes.link(here, there, "control");
    const ours = new TypeError("ours");
    far.onReceive = () => {
      throw ours;
    };
    const ended: Promise<string>[] = [near, far].map(
      (link) =>
        new Promise((resolve) => {
          link.onClose = resolve;
        }),
    );
    near.send({
      to: there.system.address("x"),
      from: here.system.address("me"),
      message: Supervisor.List({}),
    });
    const [, why] = await Promise.all(ended);
    expect({ why, crashes: there.crashes, refused: there.refused }).toEqual({
      why: "exo itself failed while it served the link: ours",
      crashes: [ours],
      refused: [],
    });
  });
});

/** Seconds to the next probe of each end of a connection, as /proc/net/tcp has them (proc(5)); none without keep-alive. */
async function keptAlive(...ports: readonly [number, number]): Promise<readonly number[]> {
  // Of both ends: a connection of another process may have one of them.
  const [one, other] = ports.map((port) => `:${port.toString(16).toUpperCase().padStart(4, "0")}`);
  const pairs = [`${one} ${other}`, `${other} ${one}`];
  const ESTABLISHED = "01";
  const KEEP_ALIVE = "02";
  const lines = (await Bun.file("/proc/net/tcp").text()).split("\n").map((line) => line.trim().split(/\s+/));
  return lines.flatMap(([, local = "", remote = "", state, , timer = ""]) => {
    const isThis = state === ESTABLISHED && pairs.includes(`${local.slice(-5)} ${remote.slice(-5)}`);
    const [kind, jiffies = ""] = timer.split(":");
    return isThis && kind === KEEP_ALIVE ? [Number.parseInt(jiffies, 16) / 100] : [];
  });
}

describe("a link that nothing is said by", () => {
  test.if(process.platform === "linux")(
    "is kept alive by the system, from both ends, unless it has beats",
    async () => {
      const [here, there] = [await nodes.start(), await nodes.start()];
      const probesOf = async (lane: "data" | "file" | "control") => {
        const { far } = await nodes.link(here, there, lane);
        return async () =>
          (await keptAlive(far.remote.port, there.endpoint.port)).map((seconds) => Math.ceil(seconds / 30));
      };
      const [data, file, control] = [
        await probesOf("data"),
        await probesOf("file"),
        await probesOf("control"),
      ];
      // An end's timer is another one as long as something it sent is not acknowledged.
      while ((await data()).length + (await file()).length < 4) await turn();
      expect([await data(), await file(), await control()]).toEqual([[1, 1], [1, 1], []]);
    },
  );
});
