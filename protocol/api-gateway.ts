/** What the ApiGateway accepts beside GenerationReply: news of workers it has requests on. */
import { Address } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { ProblemBody } from "./problem.ts";
import { EndKind } from "./runtime.ts";

export const ApiGateway = inbox("ApiGateway", {
  /**
   * The worker is gone, and no request it held is ended by it. `stopped`: somebody wanted that, so the requests have failed with
   * this problem; else another worker may go on with their answers. `crashed`: its process ended by itself, which a request may have
   * been the reason for. `lost`: it is out of reach, or was ended because of what happened elsewhere.
   */
  WorkerLost: { worker: Address, problem: ProblemBody, how: EndKind },
});
export type ApiGatewayMessage = InboxMessage<typeof ApiGateway>;
