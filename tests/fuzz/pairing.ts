/** Hostile bytes against the side that lets in: none may let a machine in, throw anything but a refusal, or be kept. */
import { hostSession } from "#actors/discovery/pairing/host";
import { Invite } from "#actors/discovery/pairing/invite";
import type { PairingPorts } from "#actors/discovery/pairing/ports";
import { FrameReader, frame } from "#actors/runtime/transport/framing";
import type { StrangerChannel } from "#actors/runtime/transport/stranger";
import { encode } from "#protocol/codec";
import type { Address, NodeId } from "#protocol/ids";
import { type AnyMessage, ProtocolError } from "#protocol/message";
import { Applicant } from "#protocol/pairing";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";

export interface PairingFindings {
  readonly letIn: number;
  readonly sessions: number;
  readonly heapGrowthBytes: number;
}

/** Each connection says some frames; an invite is tried three times, then there is a new one. */
const FRAMES = 8;
const INVITE_EVERY = 100;
const CODE = "K7QM2XTP";

export async function fuzzPairing(count: number, seed: number): Promise<PairingFindings> {
  const random = seeded(seed);
  const whole = (below: number) => Math.floor(random() * below);
  const time = new VirtualTime();
  const clock = time.clock(random);
  const admitted: string[] = [];
  const ports = {
    clock,
    node: "self" as NodeId,
    name: () => "self",
    port: () => 1,
    isUp: () => false,
    troubled: () => {},
    admission: { mayAdmit: true, others: 0, admit: async () => admitted.push("in"), adopt: async () => {} },
  } as unknown as PairingPorts;
  const fresh = () => Invite.open(CODE, { clock, ttlMs: 1e9, changed: () => {}, over: () => {} });
  let invite = await fresh();
  let sessions = 0;
  let before = 0;
  for (let sent = 0; sent < count; sent += FRAMES) {
    if (sessions === 200) {
      Bun.gc(true);
      before = process.memoryUsage().heapUsed;
    }
    if (sessions % INVITE_EVERY === 0) {
      invite.stop();
      invite = await fresh();
    }
    sessions += 1;
    const channel = fakeChannel();
    const ended = hostSession(channel, ports, () => invite);
    for (let i = 0; i < FRAMES; i++) channel.receive(hostileFrame(random, whole));
    channel.receive(new Uint8Array(0), true);
    await time.pass(1);
    await ended;
  }
  Bun.gc(true);
  return {
    letIn: admitted.length,
    sessions,
    heapGrowthBytes: before && process.memoryUsage().heapUsed - before,
  };
}

const [to, from] = ["host/pairing" as Address, "applicant/pairing" as Address];

function hostileFrame(random: () => number, whole: (below: number) => number): Uint8Array {
  const bytes = (length: number) => Uint8Array.from({ length }, () => whole(256));
  const text = (length: number) => Buffer.from(bytes(length)).toString("base64url");
  const messages: AnyMessage[] = [
    Applicant.Hello({ minor: whole(3), by: random() < 0.5 ? "code" : "secret", request: text(96) }),
    Applicant.Prove({ proof: text(64) }),
    Applicant.Apply({ key: bytes(32), name: text(9), port: whole(65_536), alone: true }),
    Applicant.Adopted({}),
    { type: "Host.Admitted" },
  ];
  const whichever = messages[whole(messages.length)] ?? Applicant.Adopted({});
  const made = frame(whole(3) as 0 | 1 | 2, encode({ to, from, message: whichever }));
  if (random() < 0.3) return bytes(whole(200));
  if (random() < 0.4) {
    const at = whole(made.length);
    made[at] = (made[at] ?? 0) ^ (1 << whole(8));
  }
  return random() < 0.1 ? made.subarray(0, whole(made.length)) : made;
}

/** A channel that ends as the real one does: at the first thing that breaks the protocol. */
function fakeChannel(): StrangerChannel & { receive(bytes: Uint8Array, end?: boolean): void } {
  let open = true;
  const reader = new FrameReader(4096, (kind, bytes, from, to) =>
    channel.onFrame(kind, bytes.subarray(from, to)),
  );
  const end = (why: string) => {
    if (!open) return;
    open = false;
    channel.onClose(why);
  };
  const channel = {
    remote: { host: "10.0.0.9", port: 9 },
    binding: new Uint8Array(32),
    frameBytesMax: 4096,
    onFrame: (_kind: number, _payload: Uint8Array) => {},
    onClose: (_why: string) => {},
    send() {},
    close() {
      open = false;
    },
    receive(bytes: Uint8Array, last = false) {
      if (last) end("gone");
      if (!open) return;
      try {
        reader.push(bytes);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        end(error.message);
      }
    },
  };
  return channel;
}
