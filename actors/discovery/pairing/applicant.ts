/** The side that wants in: one attempt with one machine. */
import { createActor, fromPromise } from "xstate";
import { chartClock } from "#actors/runtime/chart";
import { type CodeProver, proveCode } from "#actors/runtime/security/pake";
import type { Endpoint } from "#actors/runtime/transport/network";
import { MINOR_VERSION } from "#protocol/hello";
import type { NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { type Admitted, Applicant, type Host, type Refusal } from "#protocol/pairing";
import { Problem, problemOf } from "#protocol/problem";
import { type ApplicantEvent, applicantMachine } from "./applicant-machine.ts";
import { shownEndpoint } from "./code.ts";
import type { PairingPorts } from "./ports.ts";
import { shownName } from "./shown.ts";
import { type Wire, wireOn } from "./wire.ts";

export interface Attempt {
  readonly secret: string;
  readonly by: "code" | "secret";
  readonly to: Endpoint;
  /** As this machine wants to be called. */
  readonly name: string;
}

export interface Joined {
  readonly node: NodeId;
  /** The host's name, and how this machine is called there. */
  readonly name: string;
  readonly as: string;
}

/** Proves the code, is admitted, adopts. Rejects with a Problem that says what to do; then nothing here has changed. */
export function apply(attempt: Attempt, ports: PairingPorts): Promise<Joined> {
  return new Application(attempt, ports).run();
}

class Application {
  readonly #attempt: Attempt;
  readonly #ports: PairingPorts;
  readonly #ended = Promise.withResolvers<Joined>();
  readonly #dialling = new AbortController();
  #prover: CodeProver | undefined;
  #wire: Wire | undefined;
  #proof: { readonly proof: string; readonly key: Uint8Array } | undefined;
  #host: { readonly node: NodeId; readonly name: string } | undefined;
  #admitted: ReturnType<typeof Host.Admitted> | undefined;
  #triesLeft: number | undefined;
  #problem: Problem | undefined;
  #remoteHost = "";

  constructor(attempt: Attempt, ports: PairingPorts) {
    this.#attempt = attempt;
    this.#ports = ports;
  }

  run(): Promise<Joined> {
    const chart = applicantMachine.provide({
      actors: {
        dial: fromPromise(() =>
          this.#dial((event) => {
            // A connection outlives its business by a moment.
            if (actor.getSnapshot().status === "active") actor.send(event);
          }),
        ),
        adopt: fromPromise(() => this.#adopt()),
      },
      guards: {
        codeFits: () => this.#proof !== undefined,
      },
      actions: {
        greet: () => this.#greet(),
        apply: () => this.#apply(),
        note: ({ event }) => this.#note(event as ApplicantEvent | { type: "error"; error: unknown }),
        late: () => this.#fail(new Problem("network", `${this.#whom()} said nothing more`, AGAIN)),
        adopted: () => this.#wire?.send(Applicant.Adopted({})),
      },
    });
    const actor = createActor(chart, { clock: chartClock(this.#ports.clock) });
    actor.subscribe({
      error: (error) => this.#ended.reject(error),
      complete: () => this.#complete(actor.getSnapshot().value === "joined"),
    });
    actor.start();
    return this.#ended.promise;
  }

  async #dial(tell: (event: ApplicantEvent) => void): Promise<void> {
    this.#prover = await proveCode(this.#attempt.secret, this.#ports.steps);
    const channel = await this.#ports.dial(this.#attempt.to, this.#dialling.signal);
    this.#remoteHost = channel.remote.host;
    this.#wire = wireOn(channel, "applicant", {
      message: (message) => {
        const heard = message as Host;
        const prover = this.#prover;
        if (heard.type !== "Host.Challenge" || !prover) return tell(heard);
        // It is asked for a proof once; the chart takes no other challenge.
        this.#prover = undefined;
        return this.#prove(prover, heard).then(() => tell(heard));
      },
      closed: (why) => tell({ type: "Lost", why }),
    });
  }

  #greet(): void {
    const { request = "" } = this.#prover ?? {};
    this.#wire?.send(Applicant.Hello({ minor: MINOR_VERSION, by: this.#attempt.by, request }));
  }

  async #prove(
    prover: CodeProver,
    { response, triesLeft }: ReturnType<typeof Host.Challenge>,
  ): Promise<void> {
    this.#triesLeft = triesLeft;
    try {
      this.#proof = await prover.finish(response);
    } catch (error) {
      if (!(error instanceof ProtocolError)) this.#fail(error);
    }
    if (!this.#proof) this.#fail(refusal("wrongCode", this.#whom(), triesLeft));
  }

  #apply(): void {
    if (!this.#proof) return;
    this.#wire?.send(Applicant.Prove({ proof: this.#proof.proof }));
    this.#wire?.seal(this.#proof.key);
    const { publicKey: key, port, admission } = this.#ports;
    const alone = admission.others === 0;
    this.#wire?.send(Applicant.Apply({ key, name: this.#attempt.name, port: port(), alone }));
  }

  async #adopt(): Promise<void> {
    const { record, port } = this.#admitted as ReturnType<typeof Host.Admitted>;
    await this.#ports.admission.adopt(
      withAddress(record, this.#host?.node, { host: this.#remoteHost, port }),
    );
  }

  #note(event: ApplicantEvent | { readonly type: "error"; readonly error: unknown }): void {
    if (event.type === "Host.Welcome") this.#host = { node: event.node, name: shownName(event.name) };
    else if (event.type === "Host.Admitted") this.#admitted = event;
    else if (event.type === "Host.Refused") {
      this.#fail(refusal(event.reason, this.#whom(), event.triesLeft ?? this.#triesLeft));
    } else if (event.type === "Host.Failed") this.#fail(problemOf(event.problem));
    else if (event.type === "Lost")
      this.#fail(new Problem("network", `${this.#whom()} went away: ${event.why}`, AGAIN));
    else if ("error" in event) this.#fail(event.error);
    else this.#fail(new Problem("network", `${this.#whom()} said ${event.type} out of turn`, AGAIN));
  }

  #fail(error: unknown): void {
    this.#problem ??=
      error instanceof Problem
        ? error
        : new Problem("internal", error instanceof Error ? error.message : String(error));
  }

  #complete(joined: boolean): void {
    this.#wire?.close();
    this.#dialling.abort();
    const { node, name } = this.#host ?? { node: "" as NodeId, name: "" };
    const listed = this.#admitted?.record.members.members;
    const own = listed?.find((member) => member.node === this.#ports.node)?.name ?? this.#attempt.name;
    if (joined) this.#ended.resolve({ node, name, as: own });
    else
      this.#ended.reject(
        this.#problem ?? new Problem("network", `${this.#whom()} did not let this machine in`, AGAIN),
      );
  }

  #whom(): string {
    return this.#host?.name ?? shownEndpoint(this.#attempt.to);
  }
}

const AGAIN = {
  remedy: "nothing changed here; try again with a new code: exo invite there, exo join CODE here",
};

/** Where the host was just reached is worth more than what it believes of its own addresses. */
function withAddress(record: Admitted, node: NodeId | undefined, at: Endpoint): Admitted {
  if (node === undefined || at.port === 0) return record;
  const here = shownEndpoint(at);
  const others = (record.addresses[node] ?? []).filter((each) => each !== here);
  return { ...record, addresses: { ...record.addresses, [node]: [here, ...others] } };
}

/** The refusals in words for who typed the code. */
function refusal(reason: Refusal, whom: string, triesLeft: number | undefined): Problem {
  const fresh = { remedy: "make a new code there: exo invite" };
  switch (reason) {
    case "wrongCode":
      return triesLeft === 0
        ? new Problem(
            "forbidden",
            `the code is wrong, and that was the last try: the invite of ${whom} is closed`,
            fresh,
          )
        : new Problem(
            "forbidden",
            `the code is wrong${triesLeft === undefined ? "" : `; ${tries(triesLeft)} left`}`,
            {
              param: "code",
              remedy: "look at the code again; a new one comes from: exo invite",
            },
          );
    case "used":
      return new Problem("forbidden", "the code was used already: an invite is for one machine", fresh);
    case "expired":
      return new Problem("forbidden", "the code has expired", fresh);
    case "closed":
      return new Problem(
        "forbidden",
        `the invite of ${whom} was closed, by its user or after three wrong codes`,
        fresh,
      );
    case "busy":
      return new Problem("overloaded", `${whom} is just letting another machine in`, {
        remedy: "try again in some seconds",
      });
    case "noInvite":
      return new Problem("notFound", `${whom} has no invite open`, fresh);
    case "noSecret":
      return new Problem("notFound", `${whom} does not pair by a shared secret`);
  }
}

const tries = (count: number): string => (count === 1 ? "1 try is" : `${count} tries are`);
