/** How one machine is let in, from its first word to its last. Effects are named here only. */
import { fromPromise, setup } from "xstate";
import { STEP_ANSWER_MS, STEP_MS } from "#actors/runtime/security/steps";
import type { Applicant } from "#protocol/pairing";

export type HostEvent = Applicant | { readonly type: "Lost"; readonly why: string };

const unbound = (): never => {
  throw new Error("the chart was started without effects");
};

/** The other side has proved the code, and has nothing more to work out. */
const APPLY_MS = 10_000;
/** Each side works its part of the proof out, one after the other. */
const PROVE_MS = STEP_MS + STEP_ANSWER_MS;
/** A majority of the home's machines must agree, and a certificate is made. */
const ADMIT_MS = 15_000 + STEP_MS;
/** Adopting means writing to disk and opening a port. */
const ADOPT_MS = 15_000;

export const hostMachine = setup({
  types: { events: {} as HostEvent },
  actors: { admit: fromPromise<void>(unbound) },
  actions: {
    challenge: unbound,
    welcome: unbound,
    handOver: unbound,
    /** Tells the other side why not, and this side that nothing came of it. */
    refuse: unbound,
    /** The other side went away or said nothing more. */
    giveUp: unbound,
    tellFailure: (_, _params: { readonly error: unknown }) => unbound(),
    letIn: unbound,
    letInUnconfirmed: unbound,
  },
  guards: {
    /** There is something to prove and a try left; asking takes the try. */
    mayTry: unbound,
    proves: unbound,
    /** It may be admitted: another key than any machine that is here, and alone. */
    acceptable: unbound,
  },
}).createMachine({
  id: "PairingHost",
  initial: "greeting",
  on: { Lost: ".failed", "*": ".failed" },
  states: {
    greeting: {
      on: {
        "Applicant.Hello": [
          { guard: "mayTry", target: "challenged", actions: "challenge" },
          { target: "failed", actions: "refuse" },
        ],
      },
      after: { [STEP_ANSWER_MS]: "failed" },
    },
    challenged: {
      on: {
        "Applicant.Prove": [
          { guard: "proves", target: "proven" },
          { target: "failed", actions: "refuse" },
        ],
      },
      after: { [PROVE_MS]: "failed" },
    },
    proven: {
      on: {
        "Applicant.Apply": [
          { guard: "acceptable", target: "admitting", actions: "welcome" },
          { target: "failed", actions: "refuse" },
        ],
      },
      after: { [APPLY_MS]: "failed" },
    },
    admitting: {
      invoke: {
        src: "admit",
        onDone: "handing",
        onError: {
          target: "failed",
          actions: { type: "tellFailure", params: ({ event }) => ({ error: event.error }) },
        },
      },
      after: { [ADMIT_MS]: "failed" },
    },
    // The record is out, so that the invite is used, whether or not the other side says that it arrived.
    handing: {
      entry: "handOver",
      on: {
        "Applicant.Adopted": { target: "done", actions: "letIn" },
        "*": "unconfirmed",
        Lost: "unconfirmed",
      },
      after: { [ADOPT_MS]: "unconfirmed" },
    },
    unconfirmed: { entry: "letInUnconfirmed", type: "final" },
    done: { type: "final" },
    failed: { entry: "giveUp", type: "final" },
  },
});
