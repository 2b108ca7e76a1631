/** What the ApiGateway accepts beside GenerationReply: news of workers it has requests on. */
import { Address } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { ProblemBody } from "./problem.ts";

export const ApiGateway = inbox("ApiGateway", {
  /** The worker is gone; every request it held has failed with this problem. */
  WorkerLost: { worker: Address, problem: ProblemBody },
});
export type ApiGatewayMessage = InboxMessage<typeof ApiGateway>;
