/**
 * The steps of OPAQUE (RFC 9807; @serenity-kit/opaque), each by its own words alone, so that any process can do any of them: nothing is
 * kept between two. Words and answers are strings of the package's own form.
 */

export type Step = "keep" | "answer" | "accept" | "begin" | "prove";

/** `fault`: what the other side said cannot be understood. No values: it proves another code. */
export type Done = { readonly values?: readonly string[] } | { readonly fault: string };

export type Steps = (step: Step, words: readonly string[]) => Promise<Done>;

/**
 * Stretching protects a code whose record is stolen; here record and code are in one process for some minutes. A small one does
 * not hold anything up.
 */
const keyStretching = { "argon2id-custom": { iterations: 1, memory: 1024, parallelism: 1 } } as const;
const userIdentifier = "exo pairing 1";

/** In this process, which keeps some 12 MB for the package from the first step on. */
export const stepHere: Steps = async (step, words) => {
  // The package is large and seldom needed: it is loaded with the first step.
  const opaque = await import("@serenity-kit/opaque");
  await opaque.ready;
  return steps(opaque)[step](words);
};

type Opaque = typeof import("@serenity-kit/opaque");

const steps = ({ client, server }: Opaque): Record<Step, (words: readonly string[]) => Done> => ({
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
