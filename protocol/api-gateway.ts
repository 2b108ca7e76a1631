/** What the ApiGateway accepts beside GenerationReply: news of workers it has requests on. */
import { Type as t } from "@sinclair/typebox";
import { Address } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { ProblemBody } from "./problem.ts";

export const ApiGateway = inbox("ApiGateway", {
  /**
   * The worker is gone, and no request it held is ended by it. `stopped`: somebody wanted that, so the requests have failed with
   * this problem; else another worker may go on with their answers.
   */
  WorkerLost: { worker: Address, problem: ProblemBody, stopped: t.Optional(t.Boolean()) },
});
export type ApiGatewayMessage = InboxMessage<typeof ApiGateway>;
