/** GET /v1/models: https://platform.openai.com/docs/api-reference/models, with the keys other clients look for. */
import { Problem } from "#protocol/problem";
import type { GatewayPorts, ModelListing } from "../ports.ts";
import type { Route } from "./route.ts";

export const modelRoutes = (ports: GatewayPorts): readonly Route[] => [
  {
    method: "GET",
    path: "/v1/models",
    access: "models.read",
    handle: async () => ({ object: "list", data: (await ports.models()).map(card) }),
  },
  {
    method: "GET",
    path: "/v1/models/*",
    access: "models.read",
    handle: async ({ rest }) => {
      const models = await ports.models();
      const found =
        models.find(({ id }) => id === rest) ??
        models.find(({ id }) => id.toLowerCase() === rest.toLowerCase());
      if (found) return card(found);
      throw new Problem("notFound", `model '${rest.slice(0, 200)}' not found`, {
        param: "model",
        remedy: `\`exo ls\` shows yours, \`exo pull ${rest.slice(0, 200)}\` fetches it`,
      });
    },
  },
];

function card({ id, bytes, state, created, contextLength, quantisation, on }: ModelListing): object {
  return {
    id,
    object: "model",
    created,
    owned_by: "exo",
    type: "model",
    display_name: id,
    created_at: new Date(created * 1000).toISOString(),
    ...(contextLength !== undefined && {
      context_length: contextLength,
      max_model_len: contextLength,
      max_input_tokens: contextLength,
    }),
    exo: {
      state: state === "ready" ? "loaded" : state,
      ...(quantisation !== undefined && { quantization: quantisation }),
      ...(bytes !== undefined && { size: bytes }),
      ...(on && { machines: on }),
    },
  };
}
