/** Devices of a Mac as `system_profiler -json`, `networksetup`, `ifconfig` and `ibv_devices` list them. Not run on a Mac yet. */
import type { Accelerator, Interface, Medium, ThunderboltPort } from "#protocol/node";
import type { LocalAddress } from "./machine.ts";

type Raw = Readonly<Record<string, unknown>>;

/** Items of one of system_profiler's types; none where the text is something else. */
function itemsOf(text: string, type: string): readonly Raw[] {
  try {
    return objects((JSON.parse(text) as Raw | null)?.[type]);
  } catch {
    return []; // Cut off, or words of an error: no facts.
  }
}

const objects = (value: unknown): readonly Raw[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === "object" && each !== null) : [];

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

/** A GPU that speaks Metal. Apple's own share the machine's memory; others have theirs (`8 GB`). */
export function acceleratorsIn(text: string, memoryBytes: number, unified: boolean): Accelerator[] {
  return itemsOf(text, "SPDisplaysDataType").flatMap((gpu) => {
    const metal = textOf(gpu.spdisplays_mtlgpufamilysupport) ?? textOf(gpu.spdisplays_metal);
    const model = textOf(gpu.sppci_model) ?? textOf(gpu._name);
    if (metal === undefined || model === undefined || /notsupported/i.test(metal)) return [];
    const cores = textOf(gpu.sppci_cores);
    const own = ownMemory(textOf(gpu.spdisplays_vram) ?? "");
    const name = cores === undefined ? model : `${model} (${cores} cores)`;
    return [{ kind: "metal" as const, name, memoryBytes: unified ? memoryBytes : own }];
  });
}

function ownMemory(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) (MB|GB)$/.exec(text) ?? [];
  return amount === undefined ? 0 : Math.round(Number(amount) * (unit === "GB" ? 2 ** 30 : 2 ** 20));
}

/** networksetup(8): pairs of `Hardware Port: Wi-Fi` and `Device: en0`, as device to port. */
export function portsOf(text: string): ReadonlyMap<string, string> {
  const pairs = text.matchAll(/^Hardware Port: (.+)\r?\nDevice: (\S+)/gm);
  return new Map([...pairs].map(([, port = "", device = ""]) => [device, port]));
}

/** ifconfig(8): the speed of `media: autoselect (1000baseT <full-duplex>)`, Mbit/s by interface. */
export function mediaIn(text: string): ReadonlyMap<string, number> {
  const blocks = text.split(/^(?=\S)/m);
  return new Map(
    blocks.flatMap((block) => {
      const name = /^([\w.]+): flags=/.exec(block)?.[1];
      const [, amount, giga] = /^\s+media: .*?\(?(\d+(?:\.\d+)?)(G)?base/im.exec(block) ?? [];
      return name === undefined || amount === undefined ? [] : [[name, Number(amount) * (giga ? 1000 : 1)]];
    }),
  );
}

/** Those with addresses, without loopback and the link-local tunnels that every Mac has. */
export function interfacesIn(
  addresses: readonly LocalAddress[],
  ports: ReadonlyMap<string, string>,
  media: ReadonlyMap<string, number>,
): Interface[] {
  const byName = Map.groupBy(
    addresses.filter(({ internal, interface: name }) => !internal && !/^(awdl|llw|anpi|ap)\d/.test(name)),
    (each) => each.interface,
  );
  return [...byName]
    .filter(
      ([name, list]) => !name.startsWith("utun") || list.some(({ address }) => !address.startsWith("fe80:")),
    )
    .map(([name, list]) => {
      const speedMbps = media.get(name);
      return {
        name,
        medium: mediumOf(name, ports.get(name) ?? ""),
        ...(speedMbps !== undefined && { speedMbps }),
        addresses: list.map(({ address }) => address),
      };
    });
}

/** By the port's name, as `en5` may be anything. The bridge of the Thunderbolt ports is itself Thunderbolt. */
export function mediumOf(device: string, port: string): Medium {
  if (/^lo\d/.test(device)) return "loopback";
  if (/wi-?fi|airport/i.test(port)) return "wifi";
  if (/thunderbolt/i.test(port) && !/ethernet/i.test(port)) return "thunderbolt";
  if (/ethernet|\blan\b/i.test(port)) return "ethernet";
  if (/^(utun|ipsec|gif|stf|ppp|tun|tap|wg)\d/.test(device)) return "tunnel";
  return "unknown";
}

/**
 * One port per bus: its domain, that of the machine at the cable's other end (a dock has none), the speed in use (`Up to …` is only
 * what would be possible), and the verbs' device of its interface.
 */
export function thunderboltIn(
  text: string,
  ports: ReadonlyMap<string, string>,
  devices: string,
): ThunderboltPort[] {
  return itemsOf(text, "SPThunderboltDataType").flatMap((bus) => {
    const domain = textOf(bus.domain_uuid_key)?.toLowerCase();
    const [socket = {}] = objects([bus.receptacle_1_tag]);
    const number = textOf(socket.receptacle_id_key);
    if (domain === undefined || number === undefined) return [];
    const peer = objects(bus._items).flatMap((item) => textOf(item.domain_uuid_key) ?? [])[0];
    const speed = /^(\d+(?:\.\d+)?) Gb\/s$/.exec(textOf(socket.current_speed_key) ?? "")?.[1];
    const device = [...ports].find(([, port]) => port === `Thunderbolt ${number}`)?.[0];
    const verbs =
      device !== undefined && new RegExp(`^\\s*rdma_${RegExp.escape(device)}\\s`, "m").test(devices);
    return [
      {
        name: `Thunderbolt ${number}`,
        domain,
        ...(peer !== undefined && { peerDomain: peer.toLowerCase() }),
        ...(speed !== undefined && { speedMbps: Number(speed) * 1000 }),
        ...(verbs && { rdmaDevice: `rdma_${device}` }),
      },
    ];
  });
}
