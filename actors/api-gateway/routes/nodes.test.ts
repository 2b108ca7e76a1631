import { expect, test } from "bun:test";
import { app } from "../serve.ts";
import { post, refusal } from "../test/ask.ts";
import { fakePorts } from "../test/fake-ports.ts";

test("an order that no machine takes is refused with what there is, and before any machine hears of it", async () => {
  const ordered: unknown[] = [];
  const orderNode = async (name: string, order: unknown) => void ordered.push(name, order);
  const server = app(fakePorts([], { orderNode }), { host: "127.0.0.1" });
  const answer = async (body: unknown) => refusal(await post(server, "/exo/v1/nodes/mini", body));
  const invalid = (param: string, why: string) =>
    `400 invalid_request_error invalid_value ${param}: \`${param}\` ${why}`;
  expect([
    await answer({ action: "fly" }),
    await answer({ action: "role", role: "boss" }),
    await answer('{"action":"label","labels":{"__proto__":"x"}}'),
    await answer({ action: "label", labels: { room: "x".repeat(65) } }),
    ordered,
  ]).toEqual([
    invalid(
      "action",
      'must be rename or label or drain or resume or exclude or forget or takeover or role, not "fly"',
    ),
    invalid("role", 'must be full or worker, not "boss"'),
    invalid("labels.__proto__", "is no name for a field"),
    invalid("labels.room", `must be a text of at most 64 characters, not "${"x".repeat(59)}…`),
    [],
  ]);
});
