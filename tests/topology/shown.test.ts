/** How people see machines and links: hostile names, narrow terminals, every state. */
import { expect, test } from "bun:test";
import { nodeView } from "#actors/api-gateway/test/node-view";
import { linkTable } from "#actors/supervisor/commands/links";
import { type Cluster, nodeTable, stalled } from "#actors/supervisor/commands/nodes";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { NodeFacts } from "#protocol/node";

const [a, b, c] = ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"] as [NodeId, NodeId, NodeId];

const facts: NodeFacts = {
  name: "studio",
  version: "0.1.0",
  os: "macOS 26.2",
  arch: "arm64",
  chip: "Apple M3 Ultra",
  cores: 28,
  memoryBytes: 192e9,
  freeBytes: 41e9,
  accelerators: [{ kind: "metal", name: "Apple M3 Ultra (60 cores)", memoryBytes: 192e9 }],
  interfaces: [],
  rdma: "ready",
};
const tower: NodeFacts = {
  ...facts,
  os: "Debian 12",
  chip: "Ryzen 9",
  cores: 16,
  memoryBytes: 32e9,
  freeBytes: 512e6,
  accelerators: [
    { kind: "cuda", name: "RTX 4090", memoryBytes: 24e9 },
    { kind: "cuda", name: "RTX 4090", memoryBytes: 24e9 },
  ],
};

const node = (id: NodeId, name: string, more: Partial<NodeView>): NodeView =>
  nodeView(name, { node: id, ...more });

const home: Cluster = {
  nodes: [
    node(a, "studio", { state: "self", leader: true, version: "0.1.0", facts }),
    node(b, "tower\u001b[2J\n", { version: "0.1.0", facts: tower, addresses: ["10.0.0.2:52416"] }),
    node(c, "guest", { state: "unpaired", version: "0.2.0", addresses: ["10.0.0.3"] }),
  ],
  links: [
    {
      from: a,
      to: b,
      medium: "ethernet",
      latencyMs: 0.31,
      bytesPerSecond: 112e6,
      measuredAt: 1000,
      rdma: "none",
    },
    { from: b, to: a, medium: "wifi", latencyMs: 11.2, rdma: "none" },
  ],
};

test("machines in a pipe have every column, and no name moves the cursor", () => {
  expect(`\n${nodeTable(home, undefined)}`).toMatchInlineSnapshot(`
    "
    NODE       ID        STATE         SYSTEM      CHIP            CORES  FREE / MEMORY     ACCELERATOR                LINK           VERSION  ADDRESS
    studio*    aaaaaaaa  this machine  macOS 26.2  Apple M3 Ultra  28     41.0 / 192 GB     Apple M3 Ultra (60 cores)  -              0.1.0    -
    tower�[2J  bbbbbbbb  up            Debian 12   Ryzen 9         16     512 MB / 32.0 GB  2 x RTX 4090               Wi-Fi 0.31 ms  0.1.0    10.0.0.2:52416
    guest      cccccccc  not paired    -           -               -      -                 -                          -              0.2.0    10.0.0.3
    "
  `);
});

test("who votes, and who takes no work, stands beside the state", () => {
  const [self, tower, guest] = home.nodes;
  const nodes = [self, { ...tower, voter: true, drained: true, excluded: true }, guest] as NodeView[];
  const states = nodeTable({ nodes, links: [] }, undefined)
    .split("\n")
    .map((line) => line.split(/ {2,}/)[2]);
  expect(states).toEqual(["STATE", "this machine", "up, votes, drained, excluded", "not paired", undefined]);
});

test("in a narrow terminal the columns that matter stay whole", () => {
  expect(`\n${nodeTable(home, 100)}`).toMatchInlineSnapshot(`
    "
    NODE       STATE         CHIP            FREE / MEMORY     ACCELERATOR                LINK
    studio*    this machine  Apple M3 Ultra  41.0 / 192 GB     Apple M3 Ultra (60 cores)  -
    tower�[2J  up            Ryzen 9         512 MB / 32.0 GB  2 x RTX 4090               Wi-Fi 0.31 ms
    guest      not paired    -               -                 -                          -
    "
  `);
});

test("a pair is one row: the slower medium, both directions", () => {
  expect(`\n${linkTable(home, { nowSeconds: 1130 })}`).toMatchInlineSnapshot(`
    "
    FROM    TO         MEDIUM  LATENCY  THERE     BACK  RDMA  MEASURED
    studio  tower�[2J  Wi-Fi   0.31 ms  112 MB/s  -     none  2 minutes ago
    "
  `);
});

test("a matrix has a row and a column for each linked machine", () => {
  expect(`\n${linkTable(home, { nowSeconds: 0, matrix: true })}`).toMatchInlineSnapshot(`
    "
    FROM \\ TO  studio   tower�[2J
    studio              0.31 ms 112 MB/s
    tower�[2J  11 ms -
    "
  `);
});

test("a machine alone has no links to show", () => {
  expect(linkTable({ nodes: home.nodes.slice(0, 1), links: [] }, { nowSeconds: 0 })).toBeUndefined();
});

test("a home of two whose voter is gone is told how the other comes to lead; one that can elect is not", () => {
  const machine = (name: string, state: NodeView["state"], voter: boolean, leader = false): NodeView => ({
    node: name as NodeId,
    name,
    state,
    leader,
    voter,
    drained: false,
    excluded: false,
    labels: {},
    addresses: [],
  });
  const home = (...nodes: readonly NodeView[]) => stalled({ nodes });
  expect([
    home(machine("mini", "self", false), machine("studio", "dead", true)),
    home(machine("mini", "self", true, true), machine("studio", "dead", false)),
    home(machine("mini", "self", true), machine("studio", "dead", true), machine("tower", "up", true)),
    home(machine("mini", "self", false), machine("studio", "up", true)),
  ]).toEqual([
    `
No machine leads this home while studio is away: what is loaded goes on, but no machine can be let in or changed.
If that is for good, let this one lead: exo node 'mini' takeover
`,
    "",
    "",
    "",
  ]);
});
