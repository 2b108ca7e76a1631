/** The Pairing actor: lets machines in and brings this one in, on behalf of a user. */
import { randomBytes } from "node:crypto";
import type { ActorSystem } from "#actors/runtime/system";
import { dialStranger, listenForStrangers } from "#actors/runtime/transport/stranger";
import type { Address } from "#protocol/ids";
import { type PairingMessage, PairingReply } from "#protocol/pairing";
import { problemBody } from "#protocol/problem";
import { PairingDesk } from "./pairing.ts";
import type { PairingPorts } from "./ports.ts";

export type PairingOptions = Omit<PairingPorts, "clock" | "random" | "listen" | "dial">;

export interface PairingHandle {
  readonly address: Address;
  /** Whether this node may let others in may be another now. */
  settle(): void;
  stop(): void;
}

/** Spawns the actor `pairing`, and opens the door of the shared secret where there is one. Throws Problem. */
export async function spawnPairing(system: ActorSystem, options: PairingOptions): Promise<PairingHandle> {
  const { clock } = system;
  const desk = new PairingDesk({
    ...options,
    clock,
    random: (bytes) => randomBytes(bytes),
    listen: (opened) => listenForStrangers(clock, opened, options.steps),
    dial: (to, signal) => dialStranger(to, clock, signal),
  });
  const address = system.spawn<PairingMessage>("pairing", ({ message, reply }) => {
    const refuse = (error: unknown) => reply(PairingReply.Refused({ problem: problemBody(error) }));
    switch (message.type) {
      case "Pairing.Invite":
        desk.invite(message.ttlMs, message.role).then(reply, refuse);
        break;
      case "Pairing.Watch":
        desk.watch(message.seen, reply, message.code);
        break;
      case "Pairing.Close":
        desk.closeInvite(message.code);
        desk.watch(undefined, reply, message.code);
        break;
      case "Pairing.Join":
        desk
          .join(message.code, message.at, message.name)
          .then((joined) => reply(PairingReply.Joined(joined)), refuse);
        break;
    }
  });
  await desk.start();
  return {
    address,
    settle: () => desk.resettle(),
    stop() {
      system.stop(address);
      desk.stop();
    },
  };
}
