/**
 * Machines of a network of their own: each in a network namespace with one cable to a switch, so that a cable can be pulled. Needs
 * no more than user namespaces (unprivileged ones: user_namespaces(7)); everything ends with the process that holds them.
 */

import { environmentOf, fromSource } from "../cli/exo.ts";

export interface Segment extends AsyncDisposable {
  /** Put before a command, it runs on that machine. */
  on(machine: number): readonly string[];
  /** Put before a command, it runs on the switch, which all packets pass. */
  readonly onSwitch: readonly string[];
  address(machine: number): string;
  plug(machine: number, isIn: boolean): Promise<void>;
  /** Bytes that went over the machine's network card since it exists. */
  bytes(machine: number): Promise<{ readonly sent: number; readonly received: number }>;
  /** What a shell script on that machine prints; throws when it fails. */
  run(machine: number, script: string): Promise<string>;
}

/** An hour of what is watched, and its beginning and end: whoever was killed hard leaves nothing behind for longer. */
const HELD = ["sh", "-c", "echo ready; exec sleep 5400"];

/** Whether this machine lets us make one. */
export async function canMakeSegments(): Promise<boolean> {
  if (process.platform !== "linux" || ["ip", "unshare", "nsenter"].some((tool) => Bun.which(tool) === null))
    return false;
  try {
    await using _ = await segment(1);
    return true;
  } catch {
    return false;
  }
}

/** `count` machines, 10.77.0.1 and on, and fd77::1 and on. Throws where namespaces are not allowed. */
export async function segment(count: number): Promise<Segment> {
  const holders: Bun.Subprocess[] = [];
  const hold = async (prefix: readonly string[]): Promise<readonly string[]> => {
    const child = Bun.spawn([...prefix, ...HELD], { stdout: "pipe", stderr: "pipe" });
    holders.push(child);
    const { value } = await child.stdout.getReader().read();
    if (!value) throw new Error(`no network namespace: ${await new Response(child.stderr).text()}`);
    return ["nsenter", "-t", String(child.pid), "-U", "-n", "--preserve-credentials"];
  };
  const wall = await hold(["unshare", "--map-root-user", "--net"]);
  // A switch that learns who wants a multicast group would keep the first shout from whoever has just begun to listen.
  await sh(wall, "ip link set lo up; ip link add switch type bridge mcast_snooping 0; ip link set switch up");
  const machines: (readonly string[])[] = [];
  for (let i = 1; i <= count; i++) {
    const inside = await hold([...wall, "unshare", "--net"]);
    machines.push(inside);
    const pid = inside[2];
    await sh(
      wall,
      `ip link add v${i} type veth peer name eth0 netns ${pid}; ip link set v${i} master switch up`,
    );
    await sh(inside, `ip link set lo up; ip addr add 10.77.0.${i}/24 brd + dev eth0`);
    await sh(inside, `ip addr add fd77::${i}/64 dev eth0 nodad; ip link set eth0 up`);
  }
  const on = (machine: number) => machines[machine] ?? [];
  return {
    on,
    onSwitch: wall,
    address: (machine) => `10.77.0.${machine + 1}`,
    run: (machine, script) => sh(on(machine), script),
    async plug(machine, isIn) {
      await sh(wall, `ip link set v${machine + 1} ${isIn ? "up" : "down"}`);
    },
    async bytes(machine) {
      // /proc/net is that of who reads it: cards of the machine, bytes received first and bytes sent ninth (proc(5)).
      const [, line = ""] = /eth0:(.*)/.exec(await sh(on(machine), "cat /proc/self/net/dev")) ?? [];
      const counts = line.trim().split(/\s+/).map(Number);
      return { sent: counts[8] ?? 0, received: counts[0] ?? 0 };
    },
    async [Symbol.asyncDispose]() {
      for (const holder of holders.reverse()) holder.kill("SIGKILL");
      await Promise.all(holders.map(({ exited }) => exited));
    },
  };
}

async function sh(prefix: readonly string[], script: string): Promise<string> {
  const child = Bun.spawn([...prefix, "sh", "-ec", script], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`${script}: ${err}`);
  return out;
}

/** A command of exo on that machine: how it ended, and what it printed. */
export async function askedOn(
  net: Segment,
  machine: number,
  { folder }: { readonly folder: string },
  ...words: readonly string[]
) {
  const how = { env: environmentOf(folder), cwd: folder, stderr: "pipe" } as const;
  const child = Bun.spawn([...net.on(machine), ...fromSource, ...words], how);
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
}
