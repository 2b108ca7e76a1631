/** Signs of life for load balancers, scripts and people. */
import type { GatewayPorts } from "../ports.ts";
import type { Route } from "./route.ts";

const healthy = () => ({ status: "ok" });

export const healthRoutes = ({ version, nodeName }: GatewayPorts): readonly Route[] => [
  { method: "GET", path: "/healthz", access: "open", handle: healthy },
  { method: "GET", path: "/health", access: "open", handle: healthy },
  { method: "GET", path: "/exo/v1/version", access: "any", handle: () => ({ version, node: nodeName }) },
  {
    method: "GET",
    path: "/",
    access: "open",
    handle: () => new Response(`exo ${version} is running; its API is under /v1\n`, { headers: plain }),
  },
];

const plain = { "content-type": "text/plain; charset=utf-8" };
