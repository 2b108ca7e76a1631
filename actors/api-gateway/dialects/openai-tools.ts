/** The tools that a template is shown. Forcing a call needs a grammar and is refused until there is one. */
import { Type as t } from "@sinclair/typebox";
import { isRecord, shown } from "./body.ts";
import { Fault, unsupported } from "./fault.ts";
import { checkDepth } from "./openai-fields.ts";

export const toolFields = {
  tools: t.Optional(t.Array(t.Unknown())),
  tool_choice: t.Optional(t.Unknown()),
  functions: t.Optional(t.Array(t.Unknown())),
  function_call: t.Optional(t.Unknown()),
};

interface ToolRequest {
  readonly tools?: readonly unknown[];
  readonly tool_choice?: unknown;
  readonly functions?: readonly unknown[];
  readonly function_call?: unknown;
}

/** Nested function tools, or nothing when there are none or the client wants none used. */
export function toTools(body: ToolRequest): object[] | undefined {
  const param = body.tools ? "tools" : "functions";
  const given = body.tools ?? body.functions ?? [];
  checkDepth(param, given);
  const tools = given.map((tool, at) => toTool(tool, `${param}[${at}]`));
  const used =
    body.tool_choice === undefined
      ? choice("function_call", body.function_call)
      : choice("tool_choice", body.tool_choice);
  if (used === "forced" && tools.length === 0) {
    throw new Fault("invalid_value", "a tool is asked for, but `tools` is empty", { param: "tool_choice" });
  }
  if (used === "forced") throw unsupported("tool_choice", "forcing a tool call", "use auto or none");
  return used === "none" || tools.length === 0 ? undefined : tools;
}

function toTool(tool: unknown, param: string): object {
  if (!isRecord(tool))
    throw new Fault("invalid_value", `\`${param}\` must be an object, not ${shown(tool)}`, { param });
  const nested = isRecord(tool.function) ? tool.function : tool;
  if (tool.type === "custom") throw unsupported(param, "a custom tool", "use one of type function");
  if (typeof nested.name !== "string" || nested.name === "") {
    throw new Fault("missing_required_parameter", `\`${param}.function.name\` is missing`, {
      param: `${param}.function.name`,
    });
  }
  const { type: _, ...flat } = nested;
  return { type: "function", function: flat };
}

function choice(param: string, value: unknown): "auto" | "none" | "forced" {
  if (value === undefined || value === null || value === "auto") return "auto";
  if (value === "none") return "none";
  if (value === "required") return "forced";
  if (isRecord(value)) {
    const allowed = isRecord(value.allowed_tools) ? value.allowed_tools : undefined;
    return allowed?.mode === "auto" ? "auto" : "forced";
  }
  const message = `\`${param}\` must be none, auto, required or an object that names a tool, not ${shown(value)}`;
  throw new Fault("invalid_value", message, { param });
}
