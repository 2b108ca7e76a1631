/** Questions that one tool answers: whether the model calls it, with the right arguments as JSON. */
import { askWhole } from "../asking.ts";
import type { Checked, CheckPorts } from "../checks.ts";
import { type Json, listIn, objectIn, reasonOf, textIn } from "../dialects/dialect.ts";
import { openaiChat } from "../dialects/openai.ts";
import { jsonLines, wrongLine } from "../json-lines.ts";

interface Case {
  readonly prompt: string;
  readonly tool: string;
  /** Arguments that must be there; others may be. Text is compared without case. */
  readonly arguments: Json;
}

const text = { type: "string" };
const integer = { type: "integer" };
const tool = (name: string, description: string, properties: Readonly<Record<string, object>>) => ({
  type: "function",
  function: {
    name,
    description,
    parameters: { type: "object", properties, required: Object.keys(properties) },
  },
});

const TOOLS = [
  tool("get_weather", "The weather of a city now", { city: text }),
  tool("add", "The sum of two whole numbers", { a: integer, b: integer }),
  tool("send_email", "Sends an email", { to: text, subject: text }),
  tool("set_timer", "Starts a timer", { minutes: integer }),
  tool("read_file", "The contents of a file", { path: text }),
];

const BUILTIN: readonly Case[] = [
  { prompt: "What is the weather in Paris right now?", tool: "get_weather", arguments: { city: "Paris" } },
  { prompt: "Is it raining in Tokyo?", tool: "get_weather", arguments: { city: "Tokyo" } },
  { prompt: "Use the tool to add 1234 and 4321.", tool: "add", arguments: { a: 1234, b: 4321 } },
  { prompt: "Set a timer for 15 minutes.", tool: "set_timer", arguments: { minutes: 15 } },
  {
    prompt: "Send an email to ann@example.com with the subject Lunch.",
    tool: "send_email",
    arguments: { to: "ann@example.com", subject: "Lunch" },
  },
  { prompt: "Show me what is in notes.txt.", tool: "read_file", arguments: { path: "notes.txt" } },
];

/** Throws Problem with the line that is wrong. */
export const casesOf = (source: string, read: (path: string) => string): readonly Case[] =>
  source === "builtin" ? BUILTIN : jsonLines(read(source), source).map(caseIn(source));

/** A call with its arguments; thinking before it may take long. */
const ANSWER_TOKENS = 512;

export async function rightCalls(source: string, ports: CheckPorts): Promise<Checked> {
  const { api } = ports.abilities.dialect;
  if (api !== "chat" && api !== "completions") return `tools are asked through chat, not through ${api}`;
  const cases = casesOf(source, ports.read);
  const wrong: string[] = [];
  for (const each of cases) {
    const { status, text: said, json } = await asked(each, ports);
    if (status >= 400) return `the target refuses tools: ${reasonOf(said, status)}`;
    if (!isRight(each, json)) wrong.push(each.prompt);
  }
  return { value: 1 - wrong.length / cases.length, count: cases.length, ...(wrong.length > 0 && { wrong }) };
}

const asked = ({ prompt }: Case, { ask, model }: CheckPorts) =>
  askWhole(ask, openaiChat.path, {
    model,
    messages: [{ role: "user", content: prompt }],
    tools: TOOLS,
    max_tokens: ANSWER_TOKENS,
    temperature: 0,
  });

function isRight(wanted: Case, answer: unknown): boolean {
  const { message } = objectIn(listIn(objectIn(answer).choices)[0]);
  const call = objectIn(objectIn(listIn(objectIn(message).tool_calls)[0]).function);
  const given = argumentsIn(call.arguments);
  return (
    call.name === wanted.tool &&
    Object.entries(wanted.arguments).every(([name, value]) => plain(given[name]) === plain(value))
  );
}

function argumentsIn(said: unknown): Json {
  try {
    return objectIn(typeof said === "string" ? JSON.parse(said) : said);
  } catch {
    return {}; // half a JSON text is a wrong call.
  }
}

const plain = (value: unknown): string => String(value).trim().toLowerCase();

const caseIn =
  (path: string) =>
  ({ line, value }: { line: number; value: Json }): Case => {
    const [prompt, name] = [textIn(value.prompt), textIn(value.tool)];
    if (prompt === undefined || !TOOLS.some((each) => each.function.name === name))
      throw wrongLine(
        path,
        line,
        `needs prompt and tool, one of ${TOOLS.map((each) => each.function.name).join(", ")}`,
      );
    return { prompt, tool: String(name), arguments: objectIn(value.arguments) };
  };
