/** Machines of one home as processes, each linked to all others: what most tests of several machines begin with. */

import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exo, freshFolder, type Ran } from "../cli/exo.ts";
import { type Machine, members, type Running, started } from "./processes.ts";
import { linked } from "./streams.ts";

/** A machine, and its process. */
export interface Member extends Omit<Running, keyof AsyncDisposable> {
  readonly folder: string;
  /** `exo` with these words, as its user gives them. */
  exo(...words: readonly string[]): Promise<Ran>;
}

export interface HomeOf<Names extends readonly string[]> extends AsyncDisposable {
  readonly all: { readonly [Place in keyof Names]: Member };
}

/** They end with the scope, and so do their folders. */
export async function homeOf<const Names extends readonly string[]>(...names: Names): Promise<HomeOf<Names>> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(freshFolder());
  const machines = await members(folder.path, names, []);
  // Where one does not start, the others end all the same.
  const starts = await Promise.allSettled(machines.map(async (each) => stack.use(await started(each))));
  const running = starts.map((start) => {
    if (start.status === "rejected") throw start.reason;
    return start.value;
  });
  await linked(running);
  const all = running.map((each, at) => memberOf(each, machines[at]));
  const kept = stack.move();
  return { all: all as unknown as HomeOf<Names>["all"], [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** What a test expects; where it is not so, all that was seen and what the machines of the home said is told too. */
export function expectIn(
  all: readonly Pick<Member, "name" | "folder">[],
  seen: Readonly<Record<string, unknown>>,
  expected: Readonly<Record<string, unknown>>,
): void {
  try {
    expect(seen).toEqual(expected);
  } catch (error) {
    const logs = all.map(
      ({ name, folder }) => `--- ${name} said:\n${readFileSync(join(folder, "log"), "utf8")}`,
    );
    if (error instanceof Error)
      error.message += `\nall that was seen: ${JSON.stringify(seen, null, 1)}\n${logs.join("\n")}`;
    throw error;
  }
}

function memberOf(running: Running, machine: Machine | undefined): Member {
  const folder = machine?.folder ?? "";
  return Object.assign(running, {
    folder,
    exo: (...words: readonly string[]) => exo(words, { home: folder }),
  });
}
