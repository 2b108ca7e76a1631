/** What a node says of its home as it happens, read from within its network. */
import type { NodeView } from "#protocol/cluster";

/** A change of what one node believes of another, or of who leads. */
export type Told =
  | { readonly type: "state"; readonly name: string; readonly state: NodeView["state"] }
  | { readonly type: "leader"; readonly leader: string | null };

export interface Events extends AsyncDisposable {
  /** As the node sees its home now. */
  readonly nodes: readonly NodeView[];
}

/** Follows the stream until it is disposed of; `told` hears of changes after the first snapshot. */
export function follow(prefix: readonly string[], url: string, told: (change: Told) => void): Events {
  const child = Bun.spawn([...prefix, "curl", "-sN", `${url}/exo/v1/events`], {
    stdout: "pipe",
    stderr: "ignore",
  });
  let nodes: readonly NodeView[] = [];
  const take = (type: string, data: string) => {
    if (type === "snapshot") nodes = JSON.parse(data).nodes;
    else if (type === "leader.changed") told({ type: "leader", leader: JSON.parse(data).leader });
    else if (type === "node.changed" || type === "node.appeared") {
      const { node, was }: { readonly node: NodeView; readonly was?: string } = JSON.parse(data);
      nodes = [...nodes.filter((each) => each.node !== node.node), node];
      if (node.state !== was) told({ type: "state", name: node.name, state: node.state });
    }
  };
  const read = (async () => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      const records = (text + decoder.decode(chunk, { stream: true })).split("\n\n");
      text = records.pop() ?? "";
      for (const record of records) {
        const [type, data] = ["event", "data"].map((name) => fieldOf(record, name));
        if (type !== undefined && data !== undefined) take(type, data);
      }
    }
  })();
  return {
    get nodes() {
      return nodes;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await read;
    },
  };
}

const fieldOf = (record: string, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, "m").exec(record)?.[1];
