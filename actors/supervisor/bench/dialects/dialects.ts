/** The APIs by their names in `target.api`. */
import type { Api } from "../bench-config.ts";
import { anthropic } from "./anthropic.ts";
import type { Dialect } from "./dialect.ts";
import { engine } from "./engine.ts";
import { ollama } from "./ollama.ts";
import { openaiChat, openaiCompletions } from "./openai.ts";
import { responses } from "./responses.ts";

export const DIALECTS: Readonly<Record<Api, Dialect>> = {
  chat: openaiChat,
  completions: openaiCompletions,
  responses,
  messages: anthropic,
  ollama,
  engine,
};
