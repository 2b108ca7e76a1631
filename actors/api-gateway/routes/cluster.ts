/** The machines of this home and the links between them, for `exo nodes`, `exo links` and programs. */
import { Type as t } from "@sinclair/typebox";
import { worded } from "#protocol/problem";
import { bodyOf } from "../dialects/body.ts";
import type { GatewayPorts } from "../ports.ts";
import { exoState } from "./exo-state.ts";
import type { Route } from "./route.ts";

const modelIn = bodyOf(t.Object({ model: t.String({ minLength: 1, maxLength: 4096 }) }));

function aloneIn(ports: GatewayPorts): { readonly alone?: string } {
  const problem = ports.alone?.();
  return problem ? { alone: worded(problem) } : {};
}

export const clusterRoutes = (ports: GatewayPorts): readonly Route[] => [
  {
    method: "GET",
    path: "/exo/v1/cluster",
    access: "cluster.read",
    handle: async () => ({
      nodes: await ports.nodes(),
      links: await ports.links(),
      ...aloneIn(ports),
      ...(ports.namespace !== undefined && { namespace: ports.namespace }),
    }),
  },
  {
    method: "POST",
    path: "/exo/v1/cluster/rotate",
    access: "cluster.admin",
    handle: async () => {
      await ports.rotateKeys();
      return {};
    },
  },
  {
    method: "GET",
    path: "/exo/v1/links",
    access: "cluster.read",
    handle: async () => ({ links: await ports.links() }),
  },
  {
    method: "POST",
    path: "/exo/v1/links/measure",
    access: "cluster.admin",
    /** Answers with what the measurement found. */
    handle: async () => {
      await ports.measureLinks();
      return { links: await ports.links() };
    },
  },
  {
    method: "POST",
    path: "/exo/v1/speeds/measure",
    access: "cluster.admin",
    /** Answers when every machine did, within some seconds. */
    handle: async ({ json }) => ({ machines: await ports.measureModel(modelIn(await json()).model) }),
  },
  {
    method: "POST",
    path: "/exo/v1/checkpoint",
    access: "models.write",
    /** Of a model that some machine of the home has: it may be asked for without being fetched first. */
    handle: async ({ json }) => await ports.checkpoint(modelIn(await json()).model),
  },
  {
    method: "POST",
    path: "/exo/v1/copies",
    access: "models.write",
    /** Answers when every machine that is up did, within seconds. */
    handle: async ({ json }) => ({ others: await ports.otherCopies(modelIn(await json()).model) }),
  },
  {
    method: "GET",
    path: "/exo/v1/debug/trace",
    access: "cluster.admin",
    handle: () => ({ entries: ports.trace?.() ?? [] }),
  },
  {
    method: "GET",
    path: "/state",
    access: "cluster.read",
    handle: async () => exoState(await ports.nodes(), await ports.links(), ports.nowSeconds()),
  },
];
