import type { Sampling } from "../answer.ts";
import type { Client } from "../client.ts";
import type { Session } from "../session.ts";

export interface ChatOptions {
  readonly client: Client;
  readonly model: string;
  readonly sampling: Sampling;
  readonly system?: string;
  readonly stats: boolean;
  readonly plain: boolean;
}
export async function chat(_session: Session, _options: ChatOptions): Promise<void> {}
