/** A home that an early version kept: its key in the clear, and a state without the fields of today. */
import { expect, test } from "bun:test";
import { decode, encode } from "@msgpack/msgpack";
import { unsealedKey } from "#actors/supervisor/cluster/sealed-key";
import { RotatingHome } from "./rotating-home.ts";

const TEST_MS_MAX = 60_000;

/** What the machine's disk held before: those that voted had the key, each in its record. */
function asBefore(home: RotatingHome, name: string, keyPem: string | undefined): void {
  const { disk } = home.machine(name);
  if (!disk.record) throw new Error(`${name} has a record`);
  const { clusterKeyBox: _, clusterNumber: __, clusterBefore: ___, ...early } = disk.record;
  const { snapshot } = disk.load();
  const {
    boxes: ____,
    authority: _____,
    ...state
  } = (snapshot.state.length > 0 ? decode(snapshot.state) : {}) as Record<string, unknown>;
  const record = { ...early, ...(keyPem !== undefined && { clusterKeyPem: keyPem }) };
  disk.begin(record, { ...snapshot, state: snapshot.state.length > 0 ? encode(state) : snapshot.state });
}

test(
  "a home of an early version goes on: its key is sealed, and gives way to one that never lay in the clear",
  async () => {
    const home = new RotatingHome(5);
    await home.pair("a", "b", "c", "d");
    const { identity, disk } = home.machine("a");
    const { clusterKeyBox, cluster } = disk.record ?? {};
    const key = clusterKeyBox && cluster && unsealedKey(identity, clusterKeyBox, cluster);
    if (!key) throw new Error("a founded the home");
    for (const name of ["a", "b"]) asBefore(home, name, key.pem);
    for (const name of ["c", "d"]) asBefore(home, name, undefined);
    for (const name of ["a", "b", "c", "d"]) await home.start(name);
    await home.passed(6000);
    const kept = ["a", "b"].map((name) => home.machine(name).disk.record);
    const holders = ["a", "b", "c", "d"].filter((name) => home.node(name).mayAdmit).length;
    const { numbers } = home;
    await home.forget("a", "d");
    await home.passed(5000);
    expect({
      clear: kept.filter((record) => record?.clusterKeyPem !== undefined).length,
      sealed: kept.filter((record) => record?.clusterKeyBox !== undefined).length,
      holders: holders >= 3,
      numbers,
      sees: Object.values(await home.states("a")).toSorted(),
    }).toEqual({ clear: 0, sealed: 2, holders: true, numbers: [2, 2, 2, 2], sees: ["self", "up", "up"] });
  },
  TEST_MS_MAX,
);
