/**
 * Machines of a network that this process is: as `segment` of namespaces.ts, where the system allows no namespaces. Processes on
 * loopback whose every TCP connection to another goes through a relay of the test (connect.cpp), by whatever address they heard of.
 */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "#mlx-c/run";
import { hostPlatform, toolchainFor } from "#mlx-c/toolchain";
import { type Relay, Road, relay } from "./relay.ts";

/** A process, and the port of this machine on which others find it. */
export interface Place {
  readonly name: string;
  readonly port: number;
}

/** Its `connect` is that of a shared library which is loaded first, as glibc and musl do. */
export const canProxy = process.platform === "linux";

export class ProxiedNetwork implements AsyncDisposable {
  readonly #folder: string;
  readonly #library: string;
  readonly #names: readonly string[];
  readonly #roads = new Map<string, Road>();
  /** By who dials: what it may dial, and where that comes out. */
  readonly #ways = new Map<string, { readonly to: string; readonly port: number; readonly relay: Relay }[]>();

  private constructor(folder: string, library: string, names: readonly string[]) {
    [this.#folder, this.#library, this.#names] = [folder, library, names];
    for (const name of names) this.#ways.set(name, []);
  }

  /** Compiles what it needs in the folder, which is the caller's; throws BuildError where there is no compiler. */
  static async of(folder: string, places: readonly Place[]): Promise<ProxiedNetwork> {
    const library = join(folder, "connect.so");
    const { compiler } = toolchainFor(hostPlatform());
    const source = join(import.meta.dir, "connect.cpp");
    await run([compiler, "-std=c++17", "-O1", "-shared", "-fPIC", source, "-o", library, "-ldl"]);
    const names = places.map(({ name }) => name);
    const net = new ProxiedNetwork(folder, library, names);
    for (const place of places) await net.show(place);
    return net;
  }

  /** Put before a command, it runs on that machine. */
  on(name: string): readonly string[] {
    return ["env", `LD_PRELOAD=${this.#library}`, `EXO_TEST_WAYS=${this.#fileOf(name)}`];
  }

  /** One more port of that machine is in reach of the others. */
  async show({ name, port }: Place): Promise<void> {
    for (const from of this.#names) {
      if (from === name) continue;
      const [there, back] = [this.road(from, name), this.road(name, from)];
      this.#ways.get(from)?.push({ to: name, port, relay: await relay({ to: port, there, back }) });
    }
    this.#write();
  }

  /** One direction between two of them. */
  road(from: string, to: string): Road {
    const key = JSON.stringify([from, to]);
    const road = this.#roads.get(key) ?? new Road();
    this.#roads.set(key, road);
    return road;
  }

  /** The cable of that machine. */
  plug(name: string, isIn: boolean): void {
    for (const other of this.#names.filter((each) => each !== name))
      for (const road of [this.road(name, other), this.road(other, name)])
        if (isIn) road.heal();
        else road.cut();
    this.#write();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const road of this.#roads.values()) road.heal();
    const relays = [...this.#ways.values()].flat().map(({ relay: each }) => each);
    await Promise.all(relays.map((each) => each[Symbol.asyncDispose]()));
  }

  #fileOf = (name: string) => join(this.#folder, `${name}.ways`);

  /** Who connects needs both directions: of one that is cut it would hear no answer. */
  #write(): void {
    for (const [name, own] of this.#ways) {
      const lines = own.flatMap(({ to, port, relay: { port: way } }) => {
        const isCut = this.road(name, to).isCut || this.road(to, name).isCut;
        return [port, ...this.#relaysTo(to, port)].map((known) => `${known} ${isCut ? 0 : way}\n`);
      });
      // Whole at any moment, for whoever reads it meanwhile.
      writeFileSync(`${this.#fileOf(name)}.new`, lines.join(""));
      renameSync(`${this.#fileOf(name)}.new`, this.#fileOf(name));
    }
  }

  /** What one machine dialled it tells the others of: they come to the same place, each by its own way. */
  #relaysTo(name: string, port: number): readonly number[] {
    const all = [...this.#ways.values()].flat();
    return all
      .filter((each) => each.to === name && each.port === port)
      .map(({ relay: { port: way } }) => way);
  }
}
