/** Machines that were given one secret become one home by themselves: each that is alone asks those nearby to let it in. */
import { type CodeKeeper, keepCode } from "#actors/runtime/security/pake";
import type { Endpoint } from "#actors/runtime/transport/network";
import type { Neighbour } from "#protocol/discovery";
import type { NodeId } from "#protocol/ids";
import type { Refusal } from "#protocol/pairing";
import { Problem, type ProblemKind } from "#protocol/problem";
import type { Door } from "./host.ts";
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
const PASSING: readonly ProblemKind[] = ["notFound", "network", "overloaded", "unavailable"];

export class SharedSecret implements Door {
  readonly #ports: PairingPorts;
  readonly #keeper: CodeKeeper;
  readonly #join: (to: Endpoint) => Promise<unknown>;
  readonly #asked = new Map<NodeId, number>();
  readonly #told = new Set<string>();
  #startMs = 0;
  #busy = false;
  #stopped = false;
  #cancel = () => {};

  static async open(
    secret: string,
    ports: PairingPorts,
    join: (to: Endpoint) => Promise<unknown>,
  ): Promise<SharedSecret> {
    return new SharedSecret(await keepCode(secret), ports, join);
  }

  private constructor(keeper: CodeKeeper, ports: PairingPorts, join: (to: Endpoint) => Promise<unknown>) {
    this.#keeper = keeper;
    this.#ports = ports;
    this.#join = join;
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
    this.#ports.troubled(`${from} tried to pair with another cluster.secret than this machine's`);
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
    if (admission.others > 0 || this.#busy || clock.nowMs() - this.#startMs < SETTLE_MS) return;
    const near = [...(await this.#ports.neighbours())].sort((a, b) => (a.node < b.node ? -1 : 1));
    const next = near.find((each) => this.#mayAsk(each));
    const [host] = next?.addresses ?? [];
    if (!next || host === undefined) return;
    if (this.#asked.size >= ASKED_MAX) this.#asked.clear();
    this.#asked.set(next.node, clock.nowMs());
    await this.#join({ host, port: next.pairingPort });
  }

  /** Another home's invite, a machine that went away or is busy: asked again in a while. The rest the user should know. */
  #failed(error: unknown): void {
    const isPassing = error instanceof Problem && PASSING.includes(error.kind);
    if (!isPassing && !this.#stopped)
      this.#ports.troubled(error instanceof Error ? error.message : String(error));
  }

  #mayAsk({ node, pairingPort }: Neighbour): boolean {
    const nowMs = this.#ports.clock.nowMs();
    if (pairingPort === 0 || nowMs - (this.#asked.get(node) ?? Number.NEGATIVE_INFINITY) < ASK_AGAIN_MS)
      return false;
    return this.#ports.node > node || nowMs - this.#startMs > YIELD_MS;
  }
}
