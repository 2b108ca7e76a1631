/**
 * Proving to know a short code without showing it, by OPAQUE (RFC 9807; @serenity-kit/opaque). Who listens learns nothing, who
 * takes part without the code may test one guess per exchange, and both ends that know it share a fresh key.
 */
import { ProtocolError } from "#protocol/message";
import { type Done, type Steps, stepHere } from "./steps.ts";

/** The side that made the code. */
export interface CodeKeeper {
  /** Answers a proof's beginning. From then on the other side can tell whether its guess was right: that is one try. Throws ProtocolError. */
  answer(request: string): Promise<KeeperAnswer>;
}

export interface KeeperAnswer {
  readonly response: string;
  /** The shared key (64 bytes) when the code was proved. */
  finish(proof: string): Promise<Uint8Array | undefined>;
}

/** The side that was told the code. */
export interface CodeProver {
  readonly request: string;
  /** Undefined when the keeper's code is another. Throws ProtocolError. */
  finish(response: string): Promise<{ readonly proof: string; readonly key: Uint8Array } | undefined>;
}

/** Rejects with a Problem where a step cannot be done, with any of the promises below as well. */
export async function keepCode(password: string, steps: Steps = stepHere): Promise<CodeKeeper> {
  const [setup = "", record = ""] = valuesOf(await steps("keep", [password])) ?? [];
  return {
    async answer(request) {
      const [state = "", response = ""] = valuesOf(await steps("answer", [setup, record, request])) ?? [];
      return {
        response,
        async finish(proof) {
          const [key] = valuesOf(await steps("accept", [state, proof])) ?? [];
          return key === undefined ? undefined : bytesOf(key);
        },
      };
    },
  };
}

export async function proveCode(password: string, steps: Steps = stepHere): Promise<CodeProver> {
  const [state = "", request = ""] = valuesOf(await steps("begin", [password])) ?? [];
  return {
    request,
    async finish(response) {
      const [proof, key] = valuesOf(await steps("prove", [password, state, response])) ?? [];
      return proof === undefined || key === undefined ? undefined : { proof, key: bytesOf(key) };
    },
  };
}

function valuesOf(done: Done): readonly string[] | undefined {
  if ("fault" in done) throw new ProtocolError(`no OPAQUE message: ${done.fault}`);
  return done.values;
}

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64url"));
