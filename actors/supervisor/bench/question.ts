/** A request of the benchmark, before any API's words. */

export type PromptText =
  | { readonly type: "tokens"; readonly ids: readonly number[] }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "messages"; readonly messages: readonly Message[] };

export interface Message {
  readonly role: string;
  readonly content: string;
}

export interface Question {
  readonly model: string;
  readonly prompt: PromptText;
  readonly outputTokens: number;
  readonly temperature: number;
  readonly stream: boolean;
  /** The answer must have exactly `outputTokens`, where the target can be told so. */
  readonly exact: boolean;
  /** Of the model's context, where the config says it and the API takes it with each request. */
  readonly contextTokens?: number;
}

/** A chat takes no token ids; prompts for it are never made of them. */
export function textOf(prompt: PromptText): string {
  if (prompt.type === "text") return prompt.text;
  if (prompt.type === "messages") return prompt.messages.map(({ content }) => content).join("\n");
  throw new Error("token ids need an API that takes them");
}
