/** Linux's network interfaces: what carries them, and how fast. Format: Documentation/ABI/testing/sysfs-class-net. */
import type { Interface, Medium } from "#protocol/node";
import type { Machine } from "./machine.ts";

const FOLDER = "/sys/class/net";
/** Bridges on bonds on tagged networks: deeper stacks are nobody's. */
const DEPTH_MAX = 4;

/** Those that have addresses, without loopback. */
export function interfacesOf(machine: Machine): Interface[] {
  const addresses = Map.groupBy(
    machine.addresses().filter(({ internal }) => !internal),
    (each) => each.interface,
  );
  return [...addresses].map(([name, list]) => {
    const medium = mediumOf(machine, name);
    const speedMbps = medium === "unknown" || medium === "tunnel" ? undefined : speedOf(machine, name);
    return {
      name,
      medium,
      ...(speedMbps !== undefined && { speedMbps }),
      addresses: list.map(({ address }) => address),
    };
  });
}

/** Hardware kinds of include/uapi/linux/if_arp.h. */
const TUNNELS = new Set([512, 768, 769, 776, 778, 823, 65_534]);
const ETHERNET = 1;
const INFINIBAND = 32;
const LOOPBACK = 772;

/** A virtual Ethernet is as good as what it stands on; of one that stands on nothing (in containers) nobody knows. */
export function mediumOf(machine: Machine, name: string, depth = 0): Medium {
  const folder = `${FOLDER}/${name}`;
  const entries = new Set(machine.list(folder));
  const kind = Number(machine.read(`${folder}/type`)?.trim() || Number.NaN);
  if (kind === LOOPBACK) return "loopback";
  if (kind === INFINIBAND) return "infiniband";
  if (TUNNELS.has(kind) || entries.has("tun_flags")) return "tunnel";
  if (entries.has("wireless") || entries.has("phy80211")) return "wifi";
  if (kind !== ETHERNET) return "unknown";
  if (/^DRIVER=thunderbolt-net$/m.test(machine.read(`${folder}/device/uevent`) ?? "")) return "thunderbolt";
  if (entries.has("device")) return "ethernet";
  if (depth >= DEPTH_MAX) return "unknown";
  const lower = [...entries]
    .flatMap((entry) => (entry.startsWith("lower_") ? [entry.slice("lower_".length)] : []))
    .map((each) => mediumOf(machine, each, depth + 1));
  return lower.find((medium) => medium !== "unknown") ?? "unknown";
}

/** Mbit/s; -1 and a refusal to read stand for unknown. */
function speedOf({ read }: Machine, name: string): number | undefined {
  const speed = Number(read(`${FOLDER}/${name}/speed`)?.trim() || Number.NaN);
  return speed > 0 && speed < 4_294_967_295 ? speed : undefined;
}
