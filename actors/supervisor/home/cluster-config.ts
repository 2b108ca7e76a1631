/** What the configuration says of this machine among others. */
import type { ConfigFile } from "./config-file.ts";

export interface ClusterConfig {
  /** As others see this machine; its host name where absent. */
  readonly name?: string;
  /** Homes that share a network stay apart by it. */
  readonly namespace: string;
  /** TCP, for members. */
  readonly port: number;
  /** UDP, for shouting; undefined: neither shout nor listen. */
  readonly discoveryPort: number | undefined;
  readonly excludedInterfaces: readonly string[];
}

const PORT_DEFAULT = 52_416;
const DISCOVERY_PORT_DEFAULT = 52_415;

/** A flag wins over the environment's `namespace`, that over the file. */
export function clusterConfig(
  flags: { readonly discovery?: boolean; readonly namespace?: string },
  namespace: string | undefined,
  file: ConfigFile["cluster"] = {},
): ClusterConfig {
  const seeks = flags.discovery !== false && file.discovery !== false;
  return {
    ...(file.name !== undefined && { name: file.name }),
    namespace: flags.namespace ?? namespace ?? file.namespace ?? "default",
    port: file.port ?? PORT_DEFAULT,
    discoveryPort: seeks ? (file.discovery_port ?? DISCOVERY_PORT_DEFAULT) : undefined,
    excludedInterfaces: file.exclude_interfaces ?? [],
  };
}
