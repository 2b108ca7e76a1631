/** The steps of OPAQUE (RFC 9807; @serenity-kit/opaque). Words and answers are strings of the package's own form. */
import type { Done, StepsOf } from "./steps.ts";

export type PakeStep = "keep" | "answer" | "accept" | "begin" | "prove";

/**
 * Stretching protects a code whose record is stolen; here record and code are in one process for some minutes. A small one does
 * not hold anything up.
 */
const keyStretching = { "argon2id-custom": { iterations: 1, memory: 1024, parallelism: 1 } } as const;
const userIdentifier = "exo pairing 1";

/** The package is large and seldom needed, so that it is loaded only by who does a step. */
export async function pakeSteps(): Promise<StepsOf<PakeStep>> {
  const opaque = await import("@serenity-kit/opaque");
  await opaque.ready;
  return steps(opaque);
}

type Opaque = typeof import("@serenity-kit/opaque");

const steps = ({ client, server }: Opaque): StepsOf<PakeStep> => ({
  keep([password = ""]) {
    const serverSetup = server.createSetup();
    const { clientRegistrationState, registrationRequest } = client.startRegistration({ password });
    const { registrationResponse } = server.createRegistrationResponse({
      serverSetup,
      userIdentifier,
      registrationRequest,
    });
    const registration = { password, clientRegistrationState, registrationResponse, keyStretching };
    return { values: [serverSetup, client.finishRegistration(registration).registrationRecord] };
  },
  answer([serverSetup = "", registrationRecord = "", startLoginRequest = ""]) {
    const asked = { serverSetup, userIdentifier, registrationRecord, startLoginRequest };
    return understood(() => {
      const { serverLoginState, loginResponse } = server.startLogin(asked);
      return [serverLoginState, loginResponse];
    });
  },
  accept([serverLoginState = "", finishLoginRequest = ""]) {
    try {
      return { values: [server.finishLogin({ serverLoginState, finishLoginRequest }).sessionKey] };
    } catch {
      return {}; // The package throws for a proof of another code and for nonsense alike.
    }
  },
  begin([password = ""]) {
    const { clientLoginState, startLoginRequest } = client.startLogin({ password });
    return { values: [clientLoginState, startLoginRequest] };
  },
  prove([password = "", clientLoginState = "", loginResponse = ""]) {
    return understood(() => {
      const done = client.finishLogin({ clientLoginState, loginResponse, password, keyStretching });
      return done && [done.finishLoginRequest, done.sessionKey];
    });
  },
});

function understood(run: () => readonly string[] | undefined): Done {
  try {
    const values = run();
    return values ? { values } : {};
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error) };
  }
}
