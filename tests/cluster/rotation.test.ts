/** Real processes of one home, one of which is forgotten: the cluster's key is another, and who was off finds its way back or is told. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SqliteStore } from "#actors/supervisor/cluster/sqlite-store";
import { freshFolder } from "../cli/exo.ts";
import { type Machine, members, msUntil, type Running, started } from "./processes.ts";

const TEST_MS_MAX = 180_000;
const folder = freshFolder();
afterAll(() => folder[Symbol.dispose]());

const record = ({ folder: home }: Machine) => {
  const store = new SqliteStore(join(home, "exo", "node", "cluster.db"));
  const found = store.loadRecord();
  store.close();
  return found;
};

const forget = async (at: Running, name: string): Promise<string> => {
  const body = JSON.stringify({ action: "forget" });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${at.url}/exo/v1/nodes/${name}`, { method: "POST", headers, body });
  return `${answer.status} ${await answer.text()}`;
};

/** Exactly these, all up. */
const areUp =
  (...names: readonly string[]) =>
  (view: Readonly<Record<string, string>>) =>
    Object.keys(view).sort().join() === names.join() &&
    Object.values(view).every((state) => /^(self|up)/.test(state));

test(
  "a machine that was off comes back under another key, and one that was forgotten meanwhile is told so",
  async () => {
    const machines = await members(folder.path, ["a", "b", "c"], []);
    const [a, b, c] = machines as [Machine, Machine, Machine];
    const [host, first, gone] = [await started(a), await started(b), await started(c)];
    await using leader = host;
    const voting = (view: Readonly<Record<string, string>>) =>
      Object.values(view).filter((state) => state.includes("+")).length === 3;
    await msUntil([leader, first, gone], (view) => areUp("a", "b", "c")(view) && voting(view));
    await first.kill("SIGKILL");
    await gone.kill("SIGKILL");
    // Two of three votes are gone: the one that comes back makes a majority, and still knows the first key alone.
    await using second = await started(b);
    await msUntil([leader, second], (view) => view.b !== undefined && /^(up|self)/.test(view.b));
    const status = await forget(leader, "c");
    expect(status).toBe("200 {}");
    await msUntil([leader, second], areUp("a", "b"));
    await second.kill("SIGKILL");
    const kept = record(b);
    await using third = await started(b);
    await msUntil([leader, third], areUp("a", "b"));
    await using late = await started(c);
    await msUntil([late], (view) => Object.keys(view).join() === "c");
    const log = () => readFileSync(join(c.folder, "log"), "utf8");
    await leader.kill("SIGTERM");
    expect({
      number: kept?.clusterNumber,
      clear: readFileSync(join(a.folder, "exo", "node", "cluster.db")).includes("PRIVATE KEY"),
      led: record(a)?.clusterNumber,
      told: log().includes("this machine was taken off its home's list of machines"),
    }).toEqual({ number: 2, clear: false, led: 2, told: true });
  },
  TEST_MS_MAX,
);
