/** Before this machine loads what it could hold by itself, who leads is asked once whether others answer much faster with it. */
import type { NodeId } from "#protocol/ids";
import type { PlacedInstance, PlacementReply } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { Leaders } from "./leaders.ts";
import type { Acquiring, Own } from "./serving.ts";

export interface FasterPorts {
  /** Other machines of this home. */
  readonly others: () => number;
  /** Undefined where it is not on this disk; nothing is fetched. */
  readonly own: (model: string) => Promise<Own | undefined>;
  /** Whether the settings say that a model of that name is kept in memory here. */
  readonly isKept: (model: string) => boolean;
  /** Asked of whoever leads. Throws Problem. */
  readonly placeFaster: (leader: NodeId, model: string) => Promise<PlacementReply>;
}

/** As many models as a home holds, four times over. */
const TAKEN_MAX = 256;

type Placed = Extract<PlacementReply, { type: "PlacementReply.Placed" }>;

/** What who leads says; undefined where nobody can. */
type Word = Placed | "stays" | undefined;

interface Asking {
  readonly answer: Promise<Word>;
  isStopped: boolean;
}

export class FasterElsewhere {
  readonly #ports: FasterPorts;
  readonly #leaders: Pick<Leaders, "once">;
  /** By model: who asks for one that is asked about already hears what comes of that. */
  readonly #asked = new Map<string, Asking>();
  /** By model. */
  readonly #taken = new Map<string, Placed>();

  constructor(ports: FasterPorts, leaders: Pick<Leaders, "once">) {
    this.#ports = ports;
    this.#leaders = leaders;
  }

  /** `stays`: this machine is to hold what it could. Throws Problem where it is stopped meanwhile, or whoever asks has left. */
  async placed(
    { name, path }: Own,
    { here, lost, resumes, left, isHeld }: Pick<Acquiring, "here" | "lost" | "resumes" | "left" | "isHeld">,
  ): Promise<Word> {
    const { others, isKept } = this.#ports;
    if (here || others() === 0 || isKept(name) || isHeld(path)) return "stays";
    if (lost || resumes) return undefined;
    const asking = this.#asked.get(path) ?? this.#ask({ name, path });
    const answer = await unlessLeft(asking.answer, name, left);
    if (asking.isStopped) throw new Problem("cancelled", `${name} was stopped before it was loaded`);
    return answer;
  }

  /** Whether this machine goes by that placement, which it was told is faster than itself. */
  isTaken({ model, id, epoch }: Pick<PlacedInstance, "model" | "id" | "epoch">): boolean {
    const taken = this.#taken.get(model);
    return taken?.id === id && taken.epoch === epoch;
  }

  /** Whoever waits for what comes of that question hears that the model was stopped. Undefined where nothing is asked. */
  stopped(path: string): Asking["answer"] | undefined {
    const asking = this.#asked.get(path);
    if (asking) asking.isStopped = true;
    return asking?.answer;
  }

  #ask(own: Own): Asking {
    const { path } = own;
    const answer = this.#placed(own).finally(() => this.#asked.delete(path));
    const asking = { answer, isStopped: false };
    this.#asked.set(path, asking);
    return asking;
  }

  async #placed({ name, path }: Own): Promise<Word> {
    // Others know it by name, which means another here than what was given by its path.
    if ((await this.#ports.own(name))?.path !== path) return "stays";
    const answer = await this.#leaders.once((leader) => this.#ports.placeFaster(leader, name));
    if (answer?.type === "PlacementReply.Stays") return "stays";
    if (answer?.type !== "PlacementReply.Placed") return undefined;
    for (const old of this.#taken.keys()) if (this.#taken.size >= TAKEN_MAX) this.#taken.delete(old);
    this.#taken.set(name, answer);
    return answer;
  }
}

async function unlessLeft<T>(work: Promise<T>, model: string, left: AbortSignal | undefined): Promise<T> {
  if (!left) return await work;
  const { promise, reject } = Promise.withResolvers<never>();
  const leave = () => reject(new Problem("cancelled", `whoever waited for ${model} has left`));
  if (left.aborted) leave();
  left.addEventListener("abort", leave, { once: true });
  return await Promise.race([work, promise]).finally(() => left.removeEventListener("abort", leave));
}
