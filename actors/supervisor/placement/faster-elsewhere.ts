/** Before this machine loads what it could hold by itself, who leads is asked once whether others answer much faster with it. */
import type { NodeId } from "#protocol/ids";
import type { PlacementReply } from "#protocol/placement";
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

type Placed = Extract<PlacementReply, { type: "PlacementReply.Placed" }>;

interface Asking {
  readonly answer: Promise<Placed | undefined>;
  isStopped: boolean;
}

export class FasterElsewhere {
  readonly #ports: FasterPorts;
  readonly #leaders: Pick<Leaders, "once">;
  /** By model: who asks for one that is asked about already hears what comes of that. */
  readonly #asked = new Map<string, Asking>();

  constructor(ports: FasterPorts, leaders: Pick<Leaders, "once">) {
    this.#ports = ports;
    this.#leaders = leaders;
  }

  /** Undefined where this machine is to hold what it could: also where nobody can say. Throws Problem where it is stopped meanwhile. */
  async placed(
    { name, path }: Own,
    { here = false, lost, isHeld }: Pick<Acquiring, "here" | "lost" | "isHeld">,
  ): Promise<Placed | undefined> {
    const { others, isKept } = this.#ports;
    if (here || lost || others() === 0 || isKept(name) || isHeld(path)) return undefined;
    const asking = this.#asked.get(path) ?? this.#ask({ name, path });
    const answer = await asking.answer;
    if (asking.isStopped) throw new Problem("cancelled", `${name} was stopped before it was loaded`);
    return answer;
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

  async #placed({ name, path }: Own): Promise<Placed | undefined> {
    // Others know it by name, which means another here than what was given by its path.
    if ((await this.#ports.own(name))?.path !== path) return undefined;
    const answer = await this.#leaders.once((leader) => this.#ports.placeFaster(leader, name));
    return answer?.type === "PlacementReply.Placed" ? answer : undefined;
  }
}
