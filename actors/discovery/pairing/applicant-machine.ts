/** How this machine comes into another's home, from the dial to the adopted record. Effects are named here only. */
import { fromPromise, setup } from "xstate";
import { STEP_ANSWER_MS, STEP_MS } from "#actors/runtime/security/steps";
import type { Host } from "#protocol/pairing";

export type ApplicantEvent = Host | { readonly type: "Lost"; readonly why: string };

const unbound = (): never => {
  throw new Error("the chart was started without effects");
};

/** Each side works its part of the proof out, one after the other. */
const PROVE_MS = STEP_MS + STEP_ANSWER_MS;
/** A majority of the home's machines must agree, a certificate is made, and the record is written there first. */
const ADMIT_MS = 20_000 + STEP_MS;

export const applicantMachine = setup({
  types: { events: {} as ApplicantEvent },
  actors: { dial: fromPromise<void>(unbound), adopt: fromPromise<void>(unbound) },
  actions: {
    greet: unbound,
    apply: unbound,
    /** Notes what the other side, its silence or this side's failure means to the user. */
    note: unbound,
    late: unbound,
    adopted: unbound,
  },
  guards: { codeFits: unbound },
}).createMachine({
  id: "PairingApplicant",
  initial: "dialling",
  on: {
    "Host.Refused": { target: ".failed", actions: "note" },
    "Host.Failed": { target: ".failed", actions: "note" },
    Lost: { target: ".failed", actions: "note" },
    "*": { target: ".failed", actions: "note" },
  },
  states: {
    dialling: {
      invoke: { src: "dial", onDone: "greeting", onError: { target: "failed", actions: "note" } },
    },
    greeting: {
      entry: "greet",
      on: {
        "Host.Challenge": [
          { guard: "codeFits", target: "proving", actions: "apply" },
          { target: "failed", actions: "note" },
        ],
      },
      after: { [PROVE_MS]: { target: "failed", actions: "late" } },
    },
    proving: {
      on: { "Host.Welcome": { target: "welcomed", actions: "note" } },
      after: { [STEP_ANSWER_MS]: { target: "failed", actions: "late" } },
    },
    welcomed: {
      on: { "Host.Admitted": { target: "adopting", actions: "note" } },
      after: { [ADMIT_MS]: { target: "failed", actions: "late" } },
    },
    adopting: {
      invoke: {
        src: "adopt",
        onDone: { target: "joined", actions: "adopted" },
        onError: { target: "failed", actions: "note" },
      },
      // What is adopted stays adopted: the record is whole and the home knows this machine.
      on: { Lost: {}, "*": {} },
    },
    joined: { type: "final" },
    failed: { type: "final" },
  },
});
