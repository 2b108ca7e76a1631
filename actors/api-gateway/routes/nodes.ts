/** One machine of this home, for `exo node` and for programs. */
import { type Static, Type as t } from "@sinclair/typebox";
import { NODE_ACTIONS, type NodeOrder, ROLES } from "#protocol/cluster";
import { Problem } from "#protocol/problem";
import { bodyOf } from "../dialects/body.ts";
import type { GatewayPorts } from "../ports.ts";
import type { Route } from "./route.ts";

const Body = t.Object({
  action: t.Union(NODE_ACTIONS.map((action) => t.Literal(action))),
  name: t.Optional(t.String({ minLength: 1, maxLength: 64 })),
  role: t.Optional(t.Union(ROLES.map((role) => t.Literal(role)))),
  labels: t.Optional(t.Record(t.String({ maxLength: 32 }), t.String({ maxLength: 64 }))),
});
const bodyIn = bodyOf(Body);

export const nodeRoutes = (ports: GatewayPorts): readonly Route[] => [
  {
    method: "GET",
    path: "/exo/v1/nodes",
    access: "cluster.read",
    handle: async () => ({ nodes: await ports.nodes() }),
  },
  {
    method: "POST",
    path: "/exo/v1/nodes/*",
    access: "cluster.admin",
    /** Answers when a majority of those that vote agreed, with the machine as it is then. */
    handle: async ({ rest, json }) => {
      const node = await ports.orderNode(rest, orderIn(bodyIn(await json())));
      return node ? { node } : {};
    },
  },
];

function orderIn({ action, name, labels, role }: Static<typeof Body>): NodeOrder {
  if (action === "rename") return { action, name: needed(name, "name") };
  if (action === "role") return { action, role: needed(role, "role") };
  if (action === "label") return { action, labels: needed(labels, "labels") };
  return { action };
}

function needed<T>(value: T | undefined, param: string): T {
  if (value !== undefined) return value;
  throw new Problem("invalid", `\`${param}\` is missing`, { param });
}
