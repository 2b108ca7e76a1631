/** The side that lets in: one connection of a machine that claims to know the code. */
import { createActor, fromPromise } from "xstate";
import { chartClock } from "#actors/runtime/chart";
import { nodeIdOf } from "#actors/runtime/security/identity";
import type { CodeKeeper, KeeperAnswer } from "#actors/runtime/security/pake";
import type { StrangerChannel } from "#actors/runtime/transport/stranger";
import type { NodeId } from "#protocol/ids";
import { type AnyMessage, ProtocolError } from "#protocol/message";
import { type Applicant, Host, type InviteRole, type Refusal } from "#protocol/pairing";
import { Problem, problemBody } from "#protocol/problem";
import { shownEndpoint } from "./code.ts";
import { type HostEvent, hostMachine } from "./host-machine.ts";
import type { Membership, PairingPorts } from "./ports.ts";
import { shownName } from "./shown.ts";
import { type Wire, wireOn } from "./wire.ts";

/** What a machine proves its code against: an invite, or the home's shared secret. */
export interface Door {
  /** Of whoever comes in by it; absent: a full member. */
  readonly role?: InviteRole;
  /** Takes one try, or says why there is none. */
  enter(): { readonly keeper: CodeKeeper; readonly triesLeft?: number } | Refusal;
  wrongCode(from: string): void;
  cameToNothing(why: string): void;
  cameIn(who: { readonly node: NodeId; readonly name: string }, confirmed: boolean): void;
}

/** What is wrong with a machine that proved the secret and is in a home of its own. */
export const OTHER_HOME = "home";

type Hello = ReturnType<typeof Applicant.Hello>;
type Apply = ReturnType<typeof Applicant.Apply>;

/** Resolves once the connection's business is over, however it ended. */
export function hostSession(
  channel: StrangerChannel,
  ports: PairingPorts,
  doorOf: (by: Hello["by"]) => Door | Refusal,
): Promise<void> {
  return new HostSession(channel, ports, doorOf).run();
}

class HostSession {
  readonly #ports: PairingPorts;
  readonly #doorOf: (by: Hello["by"]) => Door | Refusal;
  readonly #from: string;
  readonly #remoteHost: string;
  readonly #wire: Wire;
  readonly #chart;
  #door: Door | undefined;
  #answer: KeeperAnswer | undefined;
  #triesLeft: number | undefined;
  #isProven = false;
  /** What went wrong on this side. */
  #own: string | undefined;
  /** What the other side is told when it is refused. */
  #refusal: AnyMessage = Host.Refused({ reason: "closed" });
  /** Whether the try is the applicant's fault: it never proved the code. */
  #proved = false;
  #who: { readonly node: NodeId; readonly name: string; readonly apply: Apply } | undefined;
  #record: Membership | undefined;

  constructor(channel: StrangerChannel, ports: PairingPorts, doorOf: (by: Hello["by"]) => Door | Refusal) {
    this.#ports = ports;
    this.#doorOf = doorOf;
    this.#from = channel.remote.host;
    this.#remoteHost = channel.remote.host;
    const chart = hostMachine.provide({
      actors: { admit: fromPromise(() => this.#admit()) },
      guards: {
        mayTry: () => this.#answer !== undefined,
        proves: () => this.#isProven,
        acceptable: ({ event }) => event.type === "Applicant.Apply" && this.#acceptable(event),
      },
      actions: {
        challenge: () => this.#challenge(),
        welcome: () => this.#wire.send(Host.Welcome({ node: ports.node, name: ports.name() })),
        handOver: () => this.#handOver(),
        refuse: () => this.#wire.send(this.#refusal),
        tellFailure: (_, { error }) => this.#wire.send(Host.Failed({ problem: problemBody(error) })),
        giveUp: () => this.#giveUp(),
        letIn: () => this.#letIn(true),
        letInUnconfirmed: () => this.#letIn(false),
      },
    });
    this.#chart = createActor(chart, { clock: chartClock(ports.clock) });
    this.#wire = wireOn(channel, "host", {
      message: (message) => this.#received(message as Applicant),
      closed: (why) => this.#tell({ type: "Lost", why }),
    });
  }

  /** A connection outlives its business by a moment. */
  #tell(event: HostEvent): void {
    if (this.#chart.getSnapshot().status === "active") this.#chart.send(event);
  }

  run(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const ended = () => {
      this.#wire.close();
      resolve();
    };
    this.#chart.subscribe({ complete: ended, error: reject });
    this.#chart.start();
    return promise;
  }

  /** What takes some work is done before the chart hears of it. */
  #received(message: Applicant): void | Promise<void> {
    const { value } = this.#chart.getSnapshot();
    const tell = () => this.#tell(message);
    if (message.type === "Applicant.Hello" && value === "greeting") return this.#enter(message).then(tell);
    if (message.type === "Applicant.Prove" && value === "challenged")
      return this.#check(message.proof).then(tell);
    tell();
  }

  async #enter({ by, request }: Hello): Promise<void> {
    const door = this.#doorOf(by);
    const entered = typeof door === "string" ? door : door.enter();
    if (typeof door === "string" || typeof entered === "string") {
      this.#refusal = Host.Refused({ reason: typeof entered === "string" ? entered : "noInvite" });
      return;
    }
    this.#door = door;
    this.#triesLeft = entered.triesLeft;
    try {
      this.#answer = await entered.keeper.answer(request);
    } catch (error) {
      if (!(error instanceof ProtocolError)) this.#fault(error);
    }
  }

  /** Not the other side's doing. */
  #fault(error: unknown): void {
    if (!(error instanceof Problem)) throw error;
    this.#own = error.message;
    this.#refusal = Host.Failed({ problem: problemBody(error) });
  }

  #challenge(): void {
    const { response = "" } = this.#answer ?? {};
    const triesLeft = this.#triesLeft;
    this.#wire.send(Host.Challenge({ response, ...(triesLeft !== undefined && { triesLeft }) }));
  }

  async #check(proof: string): Promise<void> {
    const triesLeft = this.#triesLeft;
    this.#refusal = Host.Refused({ reason: "wrongCode", ...(triesLeft !== undefined && { triesLeft }) });
    const key = await this.#answer?.finish(proof).catch((error: unknown) => this.#fault(error));
    if (!key) return;
    this.#wire.seal(key);
    this.#isProven = true;
  }

  /** The first sealed message: only now is it sure that nobody sits in the middle of this connection. */
  #acceptable(apply: Apply): boolean {
    this.#proved = true;
    const node = nodeIdOf(apply.key);
    const name = shownName(apply.name);
    this.#who = { node, name, apply };
    const { ports, problem } = { ports: this.#ports, problem: this.#reasonAgainst(node, name, apply) };
    if (!problem) return true;
    this.#refusal = Host.Failed({ problem: problemBody(problem) });
    if (problem.param === "identity") ports.troubled(problem.message);
    return false;
  }

  #reasonAgainst(node: NodeId, name: string, { alone }: Apply): Problem | undefined {
    const same = node === this.#ports.node;
    if (same || this.#ports.isUp(node)) {
      const whom = same ? `${this.#ports.name()} (${this.#ports.node.slice(0, 8)})` : "a machine that is up";
      return new Problem(
        "forbidden",
        `${name} at ${this.#from} has the same identity as ${whom}: a copied home`,
        {
          param: "identity",
          remedy: "give one of both a new identity: exo node reset-identity",
        },
      );
    }
    if (alone) return undefined;
    return new Problem("forbidden", `${name} belongs to another home with other machines`, {
      param: OTHER_HOME,
      remedy: `take it out there first: exo node ${name} forget`,
    });
  }

  async #admit(): Promise<void> {
    if (!this.#who) return;
    const { apply, name } = this.#who;
    const host = this.#remoteHost;
    const addresses = apply.port > 0 ? [shownEndpoint({ host, port: apply.port })] : [];
    this.#record = await this.#ports.admission.admit({
      publicKey: apply.key,
      name,
      addresses,
      ...(this.#door?.role && { role: this.#door.role }),
    });
  }

  #handOver(): void {
    const { discoveryKeys, addresses, ...admitted } = this.#record as Membership;
    const { cluster, clusterPem, clusterNumber, clusterBefore, nodePem, members, history, since } = admitted;
    // The cluster's key stays here whatever the record holds.
    const record = {
      cluster,
      ...(clusterNumber !== undefined && { clusterNumber }),
      ...(clusterBefore && { clusterBefore: [...clusterBefore] }),
      clusterPem,
      nodePem,
      members,
      ...(history !== undefined && { history }),
      ...(since !== undefined && { since }),
      discoveryKeys: [...discoveryKeys],
      addresses: Object.fromEntries(Object.entries(addresses).map(([node, list]) => [node, [...list]])),
    };
    this.#wire.send(Host.Admitted({ record, port: this.#ports.port() }));
  }

  #letIn(confirmed: boolean): void {
    if (!this.#who) return;
    const { node } = this.#who;
    const listed = this.#record?.members.members.find((member) => member.node === node);
    this.#door?.cameIn({ node, name: listed?.name ?? this.#who.name }, confirmed);
  }

  #giveUp(): void {
    if (!this.#door) return;
    const name = this.#who?.name ?? "a machine";
    if (this.#own !== undefined) this.#door.cameToNothing(this.#own);
    else if (this.#proved)
      this.#door.cameToNothing(`${name} at ${this.#from} knew the code but did not come in`);
    else this.#door.wrongCode(this.#from);
  }
}
