/** One network segment of this machine's own making: a bridge, and a network namespace for each node (Linux, as root). */
export interface Segment extends AsyncDisposable {
  /** What goes before a command that shall run on the node's machine. */
  prefix(node: number): readonly string[];
  host(node: number): string;
  /** Bytes that went over the node's network card since it exists. */
  bytes(node: number): Promise<{ readonly sent: number; readonly received: number }>;
}

/** Whether this machine lets us make one. */
export async function canMakeSegments(): Promise<boolean> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  if (Bun.which("ip") === null || Bun.which("curl") === null) return false;
  const name = `exo-${process.pid}-try`;
  const made = await ip("netns", "add", name);
  return made && (await ip("netns", "del", name));
}

/** False when the system refuses. */
async function ip(...words: readonly string[]): Promise<boolean> {
  const child = Bun.spawn(["ip", ...words], { stdout: "ignore", stderr: "ignore" });
  return (await child.exited) === 0;
}

/** All in order; throws at the first that is refused. */
async function make(lines: readonly string[]): Promise<void> {
  for (const line of lines) if (!(await ip(...line.split(" ")))) throw new Error(`ip ${line} failed`);
}

export async function segment(nodes: number): Promise<Segment> {
  const id = process.pid;
  const hub = `exo-${id}-hub`;
  const name = (node: number) => `exo-${id}-${node}`;
  const host = (node: number) => `10.77.0.${node + 1}`;
  const all = Array.from({ length: nodes }, (_, node) => node);
  await make([
    `netns add ${hub}`,
    `-n ${hub} link add br0 type bridge mcast_snooping 0`,
    `-n ${hub} link set br0 up`,
    ...all.flatMap((node) => [
      `netns add ${name(node)}`,
      `-n ${hub} link add v${node} type veth peer name e0 netns ${name(node)}`,
      `-n ${hub} link set v${node} master br0 up`,
      `-n ${name(node)} link set lo up`,
      `-n ${name(node)} link set e0 up`,
      `-n ${name(node)} addr add ${host(node)}/24 brd + dev e0`,
    ]),
  ]);
  return {
    prefix: (node) => ["ip", "netns", "exec", name(node)],
    host,
    async bytes(node) {
      const read = async (what: string) => {
        const path = `/sys/class/net/e0/statistics/${what}`;
        const child = Bun.spawn(["ip", "netns", "exec", name(node), "cat", path]);
        return Number(await new Response(child.stdout).text());
      };
      return { sent: await read("tx_bytes"), received: await read("rx_bytes") };
    },
    async [Symbol.asyncDispose]() {
      for (const node of all) await ip("netns", "del", name(node));
      await ip("netns", "del", hub);
    },
  };
}
