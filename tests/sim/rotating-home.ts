/** A home some of whose machines hold the cluster's key. */
import { SimulatedHome } from "./home.ts";

/** `a` leads; of the others some hold the key and some do not. */
export class RotatingHome extends SimulatedHome {
  static async of(...names: readonly string[]): Promise<RotatingHome> {
    const home = new RotatingHome(23);
    const [first = "a", ...others] = names;
    await home.pair(first, ...others);
    for (const name of names) await home.start(name);
    await home.passed(6000);
    return home;
  }

  /** Another than `a` that may sign. */
  get keyed(): string {
    return this.#found(true);
  }
  get plain(): string {
    return this.#found(false);
  }

  #found(mayAdmit: boolean): string {
    const listed = this.machine("a").disk.record?.members.members.map(({ node }) => node) ?? [];
    const isIt = (name: string) =>
      name !== "a" && listed.includes(this.id(name)) && this.machine(name).node?.mayAdmit === mayAdmit;
    const name = [...this.machines.keys()].find(isIt);
    if (name === undefined) throw new Error("there is no such machine");
    return name;
  }

  /** Which of the cluster's keys each running machine knows. */
  get numbers(): number[] {
    const running = [...this.machines.values()].filter(({ node }) => node);
    return running.map(({ disk }) => disk.record?.clusterNumber ?? 1);
  }

  forget(at: string, name: string): Promise<unknown> {
    return this.settled(this.node(at).change({ type: "forget", node: this.id(name) }));
  }

  /** Its process ends as soon as so many envelopes more have been sent, whoever sent them. */
  async killAfter(name: string, said: number): Promise<void> {
    const { heard } = this.wire;
    let left = said;
    this.wire.heard = (from, envelope) => {
      const isPassed = heard(from, envelope);
      left -= 1;
      return isPassed;
    };
    while (left > 0) await this.time.pass(0.2);
    this.kill(name);
    this.wire.heard = heard;
  }

  certificate(name: string): string {
    return this.machine(name).disk.record?.nodePem ?? "";
  }

  cutOff(name: string): void {
    for (const other of this.machines.keys()) {
      this.wire.cut(this.id(name), this.id(other));
      this.wire.cut(this.id(other), this.id(name));
    }
  }

  /** The states that `viewer` sees, without who leads and votes. */
  async states(viewer: string): Promise<Record<string, string>> {
    const view = Object.entries(await this.view(viewer));
    return Object.fromEntries(view.map(([name, state]) => [name, state.replace(/[*+]/g, "")]));
  }
}
