/** What this machine holds in memory, for `exo ps`, `exo stop` and `exo run`. */
import { Type as t } from "@sinclair/typebox";
import { PlacementWish } from "#protocol/placement";
import { bodyOf } from "../dialects/body.ts";
import type { GatewayPorts } from "../ports.ts";
import type { Route } from "./route.ts";

const stopBody = bodyOf(t.Object({ model: t.String({ minLength: 1 }), now: t.Optional(t.Boolean()) }));
/** With fields of the wish the model is placed on several machines of the home. */
const loadBody = bodyOf(t.Composite([t.Object({ model: t.String({ minLength: 1 }) }), PlacementWish]));

function wishIn(body: PlacementWish): PlacementWish | undefined {
  const { nodes, minimumNodes, strategy, sharedStages, backend, hidden } = body;
  const wish = {
    ...(nodes && { nodes }),
    ...(minimumNodes !== undefined && { minimumNodes }),
    ...(strategy && { strategy }),
    ...(sharedStages && { sharedStages }),
    ...(backend && { backend }),
    ...(hidden && { hidden }),
  };
  return Object.keys(wish).length > 0 ? wish : undefined;
}

export const heldRoutes = (ports: GatewayPorts): readonly Route[] => [
  {
    method: "GET",
    path: "/exo/v1/ps",
    access: "models.read",
    handle: async () => ({ models: await ports.loaded() }),
  },
  {
    method: "POST",
    path: "/exo/v1/stop",
    access: "models.write",
    /** Answers when the model is out of memory. */
    handle: async ({ json }) => {
      const { model, now = false } = stopBody(await json());
      await ports.stop(model, now);
      return { model, state: "stopped" };
    },
  },
  {
    method: "POST",
    path: "/exo/v1/rebalance",
    access: "models.write",
    /** Answers once it is decided; where the model moved, it is loaded next. */
    handle: async ({ json }) => {
      const body = loadBody(await json());
      return await ports.rebalance(body.model, wishIn(body));
    },
  },
  {
    method: "POST",
    path: "/exo/v1/load",
    access: "models.write",
    /** Answers when the model can. */
    handle: async ({ json }) => {
      const body = loadBody(await json());
      const { model } = body;
      const notes = await ports.preload(model, wishIn(body));
      return { model, state: "ready", ...(notes.length > 0 && { notes }) };
    },
  },
];
