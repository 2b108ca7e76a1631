/** The machines of this home, for `exo nodes` and for programs. */
import type { GatewayPorts } from "../ports.ts";
import type { Route } from "./route.ts";

export const clusterRoutes = (ports: GatewayPorts): readonly Route[] => [
  { method: "GET", path: "/exo/v1/cluster", handle: async () => ({ nodes: await ports.nodes() }) },
];
