/** The ApiGateway actor: the requests in flight, and the public face that lets them in. */
import type { ActorSystem } from "#actors/runtime/system";
import type { Address } from "#protocol/ids";
import type { GatewayPorts } from "./ports.ts";
import { requests } from "./requests.ts";
import { createGateway, type GatewayOptions } from "./serve.ts";

export type ApiGatewayOptions = GatewayOptions;

/** Spawns the actor at `self` and listens; `supervisor` is asked for workers. `generate` is the way in without HTTP. */
export function apiGateway(
  system: ActorSystem,
  self: Address,
  supervisor: Address,
  options: GatewayOptions & Omit<GatewayPorts, "generate" | "newId" | "nowSeconds" | "nowMs" | "after">,
) {
  const { behaviour, generate } = requests(system, self, supervisor);
  system.spawn("api-gateway", behaviour);
  const { clock } = system;
  const gateway = createGateway(
    {
      ...options,
      generate,
      newId: clock.freshId,
      nowSeconds: clock.epochSeconds,
      nowMs: clock.nowMs,
      after: clock.after,
    },
    options,
  );
  return { ...gateway, generate };
}
