/** The real network of a node: TLS on every address of this machine, for members alone. */
import { networkInterfaces } from "node:os";
import type { LocalAddress } from "#actors/discovery/ports";
import type { Clock } from "#actors/runtime/clock";
import type { Identity } from "#actors/runtime/security/identity";
import type { Network } from "#actors/runtime/transport/network";
import { TlsNetwork } from "#actors/runtime/transport/tls";
import type { Trust } from "#actors/runtime/transport/trust";
import { Problem } from "#protocol/problem";

export interface NetworkOptions {
  readonly identity: Identity;
  readonly boot: string;
  readonly clock: Clock;
  /** 0 takes a free one. */
  readonly port: number;
  /** False: where it is taken, another will do as well. */
  readonly isPortChosen?: boolean | undefined;
  readonly troubled: (why: string) => void;
  readonly refused: (from: string, why: string) => void;
  readonly crashed: (error: unknown) => void;
}

/**
 * Where the port is taken that nobody chose, as by another exo of this machine, a free one is: members tell each other theirs. A node whose
 * chosen port is taken still dials the others: it is a member that cannot be dialled.
 */
export function openNetwork(options: NetworkOptions, trust: Trust): Network {
  const { port, troubled } = options;
  const [four, six] = [
    { host: "0.0.0.0", port },
    { host: "::", port },
  ];
  try {
    // A free port is one number, which the second address might not get.
    if (port !== 0) return listening([four, six]);
  } catch (error) {
    if (!(error instanceof Problem)) throw error; // A machine without IPv6 is no trouble.
  }
  try {
    return listening([four]);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (options.isPortChosen === false) {
      const network = listening([{ host: "0.0.0.0", port: 0 }]);
      troubled(
        `port ${port} is taken by another program, maybe another exo: other machines reach this one by ${network.endpoints[0]?.port} until it ends; cluster.port in exo.yaml chooses one for good`,
      );
      return network;
    }
    troubled(
      `${error.message}; other machines cannot reach this one, it reaches them: ${error.remedy ?? ""}`,
    );
    return listening([]);
  }

  function listening(listen: readonly (typeof four)[]): Network {
    const { identity, boot, clock, refused, crashed } = options;
    return new TlsNetwork({ identity, boot, clock, trust, listen, refused, crashed, capabilities: [] });
  }
}

/** Every address of this machine as it is now. */
export const localAddresses = (): readonly LocalAddress[] =>
  Object.entries(networkInterfaces()).flatMap(([name, list = []]) =>
    list.map(({ address, netmask, family, internal, scopeid }) => ({
      interface: name,
      address,
      netmask,
      family,
      internal,
      ...(scopeid !== undefined && { scope: scopeid }),
    })),
  );

/** Others keep a few only. */
const HOSTS_MAX = 8;

/** Where others can reach this machine, IPv4 first; only itself can while it has no network. */
export function reachableHosts(addresses: readonly LocalAddress[]): readonly string[] {
  const outer = addresses.filter(({ internal, scope }) => !internal && !scope);
  const sorted = outer.toSorted((a, b) => a.family.localeCompare(b.family));
  const hosts = sorted.map(({ address }) => address).slice(0, HOSTS_MAX);
  return hosts.length > 0 ? hosts : ["127.0.0.1"];
}
