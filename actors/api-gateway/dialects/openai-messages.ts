/** OpenAI's messages in the words that chat templates know. */
import { type Static, Type as t } from "@sinclair/typebox";
import type { ChatMessage } from "#protocol/generation";
import { present } from "./body.ts";
import { Fault } from "./fault.ts";
import { checkDepth } from "./openai-fields.ts";

const text = t.Optional(t.String());

const Part = t.Object({ type: t.String(), text, refusal: text });
type Part = Static<typeof Part>;

const Call = t.Object({
  id: text,
  function: t.Optional(
    t.Object({
      name: t.String(),
      arguments: t.Optional(t.Union([t.String(), t.Object({})], { description: "JSON as a text" })),
    }),
  ),
  custom: t.Optional(t.Object({ name: t.String(), input: text })),
});
type Call = Static<typeof Call>;

export const OpenAiMessage = t.Object({
  role: t.String(),
  content: t.Optional(
    t.Union([t.String(), t.Array(Part)], { description: "a text or a list of parts with a `type`" }),
  ),
  name: text,
  reasoning_content: text,
  reasoning: text,
  tool_call_id: text,
  tool_calls: t.Optional(t.Array(Call)),
});
export type OpenAiMessage = Static<typeof OpenAiMessage>;

const roles: Readonly<Record<string, ChatMessage["role"]>> = {
  system: "system",
  developer: "system",
  user: "user",
  assistant: "assistant",
  tool: "tool",
  function: "tool",
};

export function toMessage(message: OpenAiMessage, at: number): ChatMessage {
  const role = Object.hasOwn(roles, message.role) ? roles[message.role] : undefined;
  if (!role) {
    const known = Object.keys(roles).join(", ");
    const param = `messages[${at}].role`;
    throw new Fault(
      "invalid_value",
      `\`${param}\` must be one of ${known}, not "${message.role.slice(0, 40)}"`,
      { param },
    );
  }
  return {
    role,
    content: toText(message.content ?? "", `messages[${at}].content`),
    ...present({
      name: message.name,
      reasoning: message.reasoning_content ?? message.reasoning,
      toolCallId: message.tool_call_id,
      toolCalls: message.tool_calls?.map((call, index) =>
        toCall(call, `messages[${at}].tool_calls[${index}]`),
      ),
    }),
  };
}

/** Neighbouring parts are paragraphs of one text. */
function toText(content: string | readonly Part[], param: string): string {
  if (typeof content === "string") return content;
  return content.map((part, at) => partText(part, `${param}[${at}]`)).join("\n");
}

const known = new Set(["image_url", "input_image", "input_audio", "file", "input_file", "video_url"]);

function partText(part: Part, param: string): string {
  if (part.type === "text" || part.type === "input_text" || part.type === "output_text") {
    if (part.text !== undefined) return part.text;
    throw new Fault("missing_required_parameter", `\`${param}.text\` is missing`, { param: `${param}.text` });
  }
  if (part.type === "refusal") return part.refusal ?? "";
  if (known.has(part.type)) {
    throw new Fault("unsupported_content", `this model reads text only, not parts of type ${part.type}`, {
      param,
    });
  }
  const message = `\`${param}.type\` "${part.type.slice(0, 40)}" is unknown`;
  throw new Fault("invalid_value", message, { param: `${param}.type`, remedy: "use text" });
}

/** Arguments in a history may be broken JSON, of an answer that was cut: they go on as they are. */
function toCall(call: Call, param: string): { id: string; name: string; arguments: string } {
  const id = call.id ?? "";
  if (call.function) {
    const { name, arguments: given = "{}" } = call.function;
    if (typeof given === "string") return { id, name, arguments: given };
    checkDepth(`${param}.function.arguments`, given);
    return { id, name, arguments: JSON.stringify(given) };
  }
  if (call.custom)
    return { id, name: call.custom.name, arguments: JSON.stringify({ input: call.custom.input ?? "" }) };
  throw new Fault("missing_required_parameter", `\`${param}.function\` is missing`, {
    param: `${param}.function`,
  });
}
