/** Machines that were given one secret become one home by themselves: each that is alone asks those nearby to let it in. */
import { type CodeKeeper, keepCode } from "#actors/runtime/security/pake";
import type { Endpoint } from "#actors/runtime/transport/network";
import type { Neighbour } from "#protocol/discovery";
import type { NodeId } from "#protocol/ids";
import type { Refusal } from "#protocol/pairing";
import { Problem, type ProblemKind, worded } from "#protocol/problem";
import { type Door, OTHER_HOME } from "./host.ts";
import type { PairingPorts } from "./ports.ts";

/** How often a machine that is alone looks around. */
const LOOK_MS = 1000;
/** Nobody is asked again sooner: a stranger that only claims to have a door costs little. */
const ASK_AGAIN_MS = 10_000;
const ASKED_MAX = 64;
/** Addresses whose wrong secret is told to the user, each once. */
const TOLD_MAX = 16;
/** Of two machines that are both alone the one with the smaller id waits so long to be asked, so that they do not ask each other. */
const YIELD_MS = 8000;
/** All have shown themselves by then, so that all ask the same one: two homes of one secret never become one. */
const SETTLE_MS = 3000;
/** A machine that is alone has come in by then: one that shows a door still is in another home, or has another secret. */
const APART_MS = 30_000;
/** Who was found to be of another home is not asked again: it is said once. */
const APART_MAX = 64;
const PASSING: readonly ProblemKind[] = ["notFound", "network", "overloaded", "unavailable"];

/** What is done at a door of another machine, by the secret. */
interface Ways {
  /** This machine wants in. */
  readonly join: (to: Endpoint) => Promise<unknown>;
  /** As `join`, by a machine that has others and so is not let in: the refusal tells whose door it is. */
  readonly knock: (to: Endpoint) => Promise<unknown>;
}

export class SharedSecret implements Door {
  readonly #ports: PairingPorts;
  readonly #keeper: CodeKeeper;
  readonly #join: Ways["join"];
  readonly #knock: Ways["knock"];
  readonly #asked = new Map<NodeId, number>();
  readonly #told = new Set<string>();
  /** Doors of machines that are no members, and when they were seen first; those that were asked are there for good. */
  readonly #apart = new Map<NodeId, { readonly sinceMs: number; isAsked: boolean }>();
  #startMs = 0;
  #busy = false;
  #stopped = false;
  #cancel = () => {};

  static async open(secret: string, ports: PairingPorts, ways: Ways): Promise<SharedSecret> {
    return new SharedSecret(await keepCode(secret, ports.steps), ports, ways);
  }

  private constructor(keeper: CodeKeeper, ports: PairingPorts, { join, knock }: Ways) {
    this.#keeper = keeper;
    this.#ports = ports;
    this.#join = join;
    this.#knock = knock;
  }

  /** Whoever holds the home's key keeps the door. */
  get isOpen(): boolean {
    return this.#ports.admission.mayAdmit;
  }

  start(): void {
    this.#startMs = this.#ports.clock.nowMs();
    this.#later();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** A secret of this length is not found by trying, so that tries are not counted; one machine at a time is let in. */
  enter(): { readonly keeper: CodeKeeper } | Refusal {
    if (this.#busy) return "busy";
    this.#busy = true;
    return { keeper: this.#keeper };
  }

  wrongCode(from: string): void {
    this.#busy = false;
    if (this.#told.has(from) || this.#told.size >= TOLD_MAX) return;
    this.#told.add(from);
    this.#ports.troubled(
      `${from} tried to pair with another cluster.secret than this machine's; if it is yours, put the same one into its exo.yaml`,
    );
  }

  cameToNothing(): void {
    this.#busy = false;
  }

  cameIn(): void {
    this.#busy = false;
  }

  #later(): void {
    this.#cancel = this.#ports.clock.after(LOOK_MS, () => {
      void this.#look()
        .catch((error: unknown) => this.#failed(error))
        .finally(() => this.#stopped || this.#later());
    });
  }

  async #look(): Promise<void> {
    const { admission, clock } = this.#ports;
    if (this.#busy || clock.nowMs() - this.#startMs < SETTLE_MS) return;
    if (admission.others > 0) {
      await this.#lookForOtherHomes();
      return;
    }
    const near = [...(await this.#ports.neighbours())].sort((a, b) => (a.node < b.node ? -1 : 1));
    const next = near.find((each) => this.#mayAsk(each));
    const [host] = next?.addresses ?? [];
    if (!next || host === undefined) return;
    if (this.#asked.size >= ASKED_MAX) this.#asked.clear();
    this.#asked.set(next.node, clock.nowMs());
    await this.#join({ host, port: next.pairingPort });
  }

  /** Two homes of one secret were begun apart: they never become one by themselves, and their users should know. */
  async #lookForOtherHomes(): Promise<void> {
    const { clock, isMember } = this.#ports;
    if (!this.isOpen) return;
    for (const { node, name, addresses, pairingPort } of await this.#ports.neighbours()) {
      const [host] = addresses;
      if (pairingPort === 0 || host === undefined || isMember(node)) continue;
      const known = this.#apart.get(node) ?? { sinceMs: clock.nowMs(), isAsked: false };
      if (this.#apart.size < APART_MAX) this.#apart.set(node, known);
      if (known.isAsked || clock.nowMs() - known.sinceMs < APART_MS) continue;
      known.isAsked = true;
      if (await this.#isOfOtherHome({ host, port: pairingPort })) this.#ports.troubled(twoHomes(name, host));
    }
  }

  async #isOfOtherHome(at: Endpoint): Promise<boolean> {
    try {
      await this.#knock(at);
      return false;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return error.param === OTHER_HOME;
    }
  }

  /** Another home's invite, a machine that went away or is busy: asked again in a while. The rest the user should know. */
  #failed(error: unknown): void {
    const isPassing = error instanceof Problem && PASSING.includes(error.kind);
    if (!isPassing && !this.#stopped) this.#ports.troubled(worded(error));
  }

  #mayAsk({ node, pairingPort }: Neighbour): boolean {
    const nowMs = this.#ports.clock.nowMs();
    if (pairingPort === 0 || nowMs - (this.#asked.get(node) ?? Number.NEGATIVE_INFINITY) < ASK_AGAIN_MS)
      return false;
    return this.#ports.node > node || nowMs - this.#startMs > YIELD_MS;
  }
}

const twoHomes = (name: string, host: string): string =>
  `${name} at ${host} has the same cluster.secret, but is of another home, and two homes never become one by themselves: to bring its machines into this one, end exo on all of them, there exo node reset-identity, then start them one after the other`;
