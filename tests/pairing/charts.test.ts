import { expect, test } from "bun:test";
import { applicantMachine } from "#actors/discovery/pairing/applicant-machine";
import { hostMachine } from "#actors/discovery/pairing/host-machine";
import { inviteMachine } from "#actors/discovery/pairing/invite-machine";

/** What ends by itself: the dial has TLS's deadline, adopting waits for this machine's disk, a session in an invite for its own. */
const BOUNDED = ["PairingApplicant.dialling", "PairingApplicant.adopting", "Invite.pairing"];

test("no state of a pairing waits for ever", () => {
  const waiting = [hostMachine, applicantMachine, inviteMachine].flatMap((machine) =>
    Object.values(machine.states)
      .filter(({ type, after }) => type !== "final" && after.length === 0)
      .map(({ id }) => id),
  );
  expect(waiting.sort()).toEqual(BOUNDED.toSorted());
});
