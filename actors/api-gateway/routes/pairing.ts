/** Letting machines in and joining others, for `exo invite`, `exo join` and for programs. */
import { type Static, type TSchema, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { Problem } from "#protocol/problem";
import type { GatewayPorts, PairingPort } from "../ports.ts";
import type { Route, RouteRequest } from "./route.ts";

const DAY_SECONDS = 24 * 3600;

const Invite = t.Object({ ttl_seconds: t.Number({ minimum: 1, maximum: DAY_SECONDS }) });
const Watch = t.Object({ seen: t.Optional(t.String({ maxLength: 32 })) });
const Join = t.Object({
  code: t.String({ maxLength: 1024 }),
  address: t.Optional(t.String({ maxLength: 256 })),
  name: t.Optional(t.String({ minLength: 1, maxLength: 64 })),
});

export const pairingRoutes = (ports: GatewayPorts): readonly Route[] => [
  {
    method: "POST",
    path: "/exo/v1/invite",
    access: "cluster.admin",
    async handle(request) {
      const { ttl_seconds } = await body(request, Invite);
      const { code, long, port, ttlMs, tries } = await door(ports).invite(ttl_seconds * 1000);
      return { code, long, port, expires_in_seconds: ttlMs / 1000, tries };
    },
  },
  {
    // Answered when the invite is in another state than the one seen, or after a while.
    method: "POST",
    path: "/exo/v1/invite/watch",
    access: "cluster.admin",
    async handle(request) {
      const { seen } = await body(request, Watch);
      return shown(await door(ports).watch(seen));
    },
  },
  {
    method: "POST",
    path: "/exo/v1/invite/close",
    access: "cluster.admin",
    handle: async () => shown(await door(ports).close()),
  },
  {
    method: "POST",
    path: "/exo/v1/join",
    access: "cluster.admin",
    async handle(request) {
      const { code, address, name } = await body(request, Join);
      const joined = await door(ports).join({
        code,
        ...(address !== undefined && { at: address }),
        ...(name !== undefined && { name }),
      });
      return { node: joined.node, name: joined.name, as: joined.as };
    },
  },
];

function shown({ invite, seen }: Awaited<ReturnType<PairingPort["watch"]>>): object {
  const { state, triesLeft, leftMs, joined, trouble } = invite;
  return {
    state,
    tries_left: triesLeft,
    seconds_left: Math.round(leftMs / 1000),
    ...(joined && { joined }),
    ...(trouble !== undefined && { trouble }),
    seen,
  };
}

function door(ports: GatewayPorts): PairingPort {
  const pairing = ports.pairing?.();
  if (pairing) return pairing;
  throw new Problem("unavailable", "this exo works alone: it neither lets others in nor joins them", {
    remedy: "start one that does: exo serve",
  });
}

async function body<Schema extends TSchema>(request: RouteRequest, schema: Schema): Promise<Static<Schema>> {
  const given = await request.json();
  if (Value.Check(schema, given)) return given;
  const fault = Value.Errors(schema, given).First();
  const param = fault?.path.slice(1).replaceAll("/", ".") ?? "";
  throw new Problem("invalid", `${param === "" ? "the body" : param}: ${fault?.message ?? "is wrong"}`, {
    param,
  });
}
