/** The ApiGateway actor: the requests in flight, and the public face that lets them in. */
import type { ActorSystem } from "#actors/runtime/system";
import type { Address } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { GatewayPorts, Generate } from "./ports.ts";
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
  let now = begun();
  function begun() {
    const begins = requests(system, self, supervisor);
    system.spawn("api-gateway", begins.behaviour);
    return begins;
  }
  const generate: Generate = (generation, signal) => now.generate(generation, signal);
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
  return {
    ...gateway,
    generate,
    /** After a crash of the actor: the door stays open, and what was in flight, of which nothing is sure, ends with a problem. */
    restart() {
      now.end(crashed());
      now = begun();
    },
  };
}

const crashed = (): Problem =>
  new Problem("internal", "a part of exo failed while it worked on this request, and was started again", {
    remedy: "send the request again",
  });
