/** The models on the disks of other machines of this home, for who lists what can be asked for here. */
import type { Clock } from "#actors/runtime/clock";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { StoredView } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { StoredPort } from "./asking.ts";
import { isUp } from "./there.ts";

export interface StoredElsewhere extends StoredView {
  /** Names of the machines that have one of that name. */
  readonly on: readonly string[];
}

export interface StoredPorts extends StoredPort {
  readonly self: NodeId;
  readonly clock: Pick<Clock, "nowMs">;
  readonly nodes: () => Promise<readonly NodeView[]>;
}

/** Whoever lists models waits no longer; a machine that does not answer until then is left out. */
const ASK_MS = 1_000;
/** Programs list models before each question. */
const KEPT_MS = 5_000;

export class Stored {
  readonly #ports: StoredPorts;
  #known: Promise<readonly StoredElsewhere[]> | undefined;
  #untilMs = 0;

  constructor(ports: StoredPorts) {
    this.#ports = ports;
  }

  /** Each name once, in the order of the home's machines. */
  elsewhere(): Promise<readonly StoredElsewhere[]> {
    const nowMs = this.#ports.clock.nowMs();
    if (!this.#known || nowMs >= this.#untilMs) {
      this.#known = this.#asked();
      this.#untilMs = nowMs + KEPT_MS;
    }
    return this.#known;
  }

  async #asked(): Promise<readonly StoredElsewhere[]> {
    const { self, nodes, stored } = this.#ports;
    const others = (await nodes().catch(ifProblem)).filter((view) => isUp(view) && view.node !== self);
    const lists = await Promise.all(
      others.map(async ({ node, name }) =>
        (await stored(node, ASK_MS).catch(ifProblem)).map((each) => ({ ...each, on: [name] })),
      ),
    );
    return [...Map.groupBy(lists.flat(), ({ model }) => model).values()].flatMap((alike) => {
      const [first] = alike;
      return first ? [{ ...first, on: [...new Set(alike.flatMap(({ on }) => on))] }] : [];
    });
  }
}

/** One that does not answer, or is too old for the question, lists nothing; nor does a home that is not known at this moment. */
function ifProblem(error: unknown): readonly [] {
  if (error instanceof Problem) return [];
  throw error;
}
