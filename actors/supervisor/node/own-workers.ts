/** The worker processes of the Supervisor that runs: they end with it, as the next one knows nothing of them. */
import type { ActorSystem } from "#actors/runtime/system";
import type { ProblemBody } from "#protocol/problem";
import type { InstancePorts } from "../instance/instance.ts";
import type { Exited, WorkerProcess } from "../instance/workers.ts";

export class OwnWorkers {
  readonly #system: ActorSystem;
  readonly #lost: InstancePorts["lost"];
  readonly #running = new Map<string, WorkerProcess>();

  constructor(system: ActorSystem, lost: InstancePorts["lost"]) {
    this.#system = system;
    this.#lost = lost;
  }

  /** `exited` is not called for a worker that ends with its Supervisor. */
  start(node: string, exited: Exited, spawn: (exited: Exited) => WorkerProcess): WorkerProcess {
    const worker = spawn((...ended) => {
      if (this.#running.delete(node)) exited(...ended);
    });
    this.#running.set(node, worker);
    return worker;
  }

  /** What they were working on is lost. */
  end(): void {
    for (const [node, worker] of [...this.#running]) {
      this.#running.delete(node);
      worker.end();
      const address = this.#system.address(node);
      this.#system.disown(address, LOST.message);
      this.#lost(address, LOST, "lost");
    }
  }
}

const LOST: ProblemBody = {
  kind: "unavailable",
  message: "the part of exo that looks after models failed, and was started again",
  remedy: "send the request again; the model is loaded anew",
};
