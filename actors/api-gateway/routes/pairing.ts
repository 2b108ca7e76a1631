/** Letting machines in and joining others, for `exo invite`, `exo join` and for programs. */
import { Type as t } from "@sinclair/typebox";
import { ROLES } from "#protocol/cluster";
import { NAME_MAX } from "#protocol/node";
import { Problem } from "#protocol/problem";
import { bodyOf, present } from "../dialects/body.ts";
import type { GatewayPorts, PairingPort } from "../ports.ts";
import type { Route } from "./route.ts";

const DAY_SECONDS = 24 * 3600;

const code = t.String({ maxLength: 1024 });
const inviteIn = bodyOf(
  t.Object({
    ttl_seconds: t.Number({ minimum: 1, maximum: DAY_SECONDS }),
    role: t.Optional(t.Union(ROLES.map((role) => t.Literal(role)))),
  }),
);
const watchIn = bodyOf(t.Object({ seen: t.Optional(t.String({ maxLength: 32 })), code: t.Optional(code) }));
const closeIn = bodyOf(t.Object({ code: t.Optional(code) }));
const joinIn = bodyOf(
  t.Object({
    code,
    address: t.Optional(t.String({ maxLength: 256 })),
    name: t.Optional(t.String({ minLength: 1, maxLength: NAME_MAX })),
  }),
);

export const pairingRoutes = (ports: GatewayPorts): readonly Route[] => [
  {
    method: "POST",
    path: "/exo/v1/invite",
    access: "cluster.admin",
    async handle({ json }) {
      const { ttl_seconds, role } = inviteIn(await json());
      const limited = role === "worker" ? role : undefined;
      const { code, long, port, ttlMs, tries } = await door(ports).invite(ttl_seconds * 1000, limited);
      return { code, long, port, expires_in_seconds: ttlMs / 1000, tries };
    },
  },
  {
    // Answered when the invite is in another state than the one seen, or after a while.
    method: "POST",
    path: "/exo/v1/invite/watch",
    access: "cluster.admin",
    handle: async ({ json }) => {
      const { seen, code } = watchIn(await json());
      return shown(await door(ports).watch(present({ seen, code })));
    },
  },
  {
    method: "POST",
    path: "/exo/v1/invite/close",
    access: "cluster.admin",
    handle: async ({ json }) => {
      const { code } = closeIn(await json());
      return shown(await door(ports).close(present({ code })));
    },
  },
  {
    method: "POST",
    path: "/exo/v1/join",
    access: "cluster.admin",
    async handle({ json }) {
      const { code, address: at, name } = joinIn(await json());
      const joined = await door(ports).join({ code, ...present({ at, name }) });
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
