/**
 * Proving to know a short code without showing it, by OPAQUE (RFC 9807; @serenity-kit/opaque). Who listens learns nothing, who
 * takes part without the code may test one guess per exchange, and both ends that know it share a fresh key.
 */
import { ProtocolError } from "#protocol/message";

/** The side that made the code. */
export interface CodeKeeper {
  /** Answers a proof's beginning. From then on the other side can tell whether its guess was right: that is one try. Throws ProtocolError. */
  answer(request: string): KeeperAnswer;
}

export interface KeeperAnswer {
  readonly response: string;
  /** The shared key (64 bytes) when the code was proved. */
  finish(proof: string): Uint8Array | undefined;
}

/** The side that was told the code. */
export interface CodeProver {
  readonly request: string;
  /** Undefined when the keeper's code is another. Throws ProtocolError. */
  finish(response: string): { readonly proof: string; readonly key: Uint8Array } | undefined;
}

/**
 * Stretching protects a code whose record is stolen; here record and code are in one process for some minutes. A small one does
 * not hold up the heartbeats of the process, nor keep memory for ever.
 */
const keyStretching = { "argon2id-custom": { iterations: 1, memory: 1024, parallelism: 1 } } as const;
const userIdentifier = "exo pairing 1";

/** The package is large and seldom needed: it is loaded with the first code. */
async function opaque() {
  const loaded = await import("@serenity-kit/opaque");
  await loaded.ready;
  return loaded;
}

export async function keepCode(password: string): Promise<CodeKeeper> {
  const { client, server } = await opaque();
  const serverSetup = server.createSetup();
  const { clientRegistrationState, registrationRequest } = client.startRegistration({ password });
  const { registrationResponse } = server.createRegistrationResponse({
    serverSetup,
    userIdentifier,
    registrationRequest,
  });
  const registration = { password, clientRegistrationState, registrationResponse, keyStretching };
  const { registrationRecord } = client.finishRegistration(registration);
  return {
    answer(startLoginRequest) {
      const asked = { serverSetup, userIdentifier, registrationRecord, startLoginRequest };
      const { serverLoginState, loginResponse } = understood(() => server.startLogin(asked));
      return {
        response: loginResponse,
        finish(finishLoginRequest) {
          try {
            return bytesOf(server.finishLogin({ serverLoginState, finishLoginRequest }).sessionKey);
          } catch {
            return undefined; // The package throws for a proof of another code and for nonsense alike.
          }
        },
      };
    },
  };
}

export async function proveCode(password: string): Promise<CodeProver> {
  const { client } = await opaque();
  const { clientLoginState, startLoginRequest } = client.startLogin({ password });
  return {
    request: startLoginRequest,
    finish(loginResponse) {
      const given = { clientLoginState, loginResponse, password, keyStretching };
      const done = understood(() => client.finishLogin(given));
      return done && { proof: done.finishLoginRequest, key: bytesOf(done.sessionKey) };
    },
  };
}

function understood<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new ProtocolError(`no OPAQUE message: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64url"));
