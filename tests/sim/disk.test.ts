/** The two disks of the simulator say the same, so that what differs after a damage is the store's fault. */
import { expect, test } from "bun:test";
import type { RaftStore } from "#actors/runtime/raft/log";
import type { ClusterRecord, ClusterStore } from "#actors/supervisor/cluster/record";
import type { ClusterId, NodeId } from "#protocol/ids";
import { FileDisk, MemoryDisk } from "./disk.ts";

const EMPTY = { config: { voters: [], learners: [] }, state: new Uint8Array() };

/** Votes at home, leaves for a home of its own, votes there, and is let in again. */
function move(disk: ClusterStore & RaftStore): object {
  const at = (cluster: string) => ({ cluster: cluster as ClusterId }) as ClusterRecord;
  disk.begin(at("home"), { ...EMPTY, index: 1, term: 1 });
  disk.saveVote(7, "a" as NodeId);
  disk.begin(at("own"), { ...EMPTY, index: 1, term: 1 });
  disk.saveVote(9, "b" as NodeId);
  disk.begin(at("home"));
  return { record: disk.loadRecord(), ...disk.load() };
}

test("a machine that leaves its home and comes back has the same on files as in memory", () => {
  const files = new FileDisk();
  const [held, expected] = [move(files), move(new MemoryDisk())];
  files.remove();
  expect(held).toEqual(expected);
  expect(expected).toMatchObject({ term: 7, votedFor: "a" });
});
