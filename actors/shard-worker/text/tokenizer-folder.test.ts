import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Problem } from "#protocol/problem";
import { sourceFromGguf } from "./gguf-tokenizer.ts";
import { byteLevel } from "./test/tokenizers.ts";
import { openText } from "./text-port.ts";

const root = mkdtempSync(join(tmpdir(), "exo-text-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
function folderOf(files: Readonly<Record<string, unknown>>): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}
const open = (files: Readonly<Record<string, unknown>>) =>
  openText({ folder: folderOf(files) }, { nowMs: () => 0 });
const pieces = (
  files: Readonly<Record<string, unknown>>,
  prompt: Parameters<ReturnType<typeof open>["encode"]>[0],
) => {
  const text = open(files);
  return text.encode(prompt).map((id) => text.tokenText(id).text);
};

const { json } = sourceFromGguf(byteLevel());
const hello = { type: "text", text: "hello" } as const;
const chat = { type: "messages", messages: [{ role: "user", content: "hello" }] } as const;
const messages = { ...chat, messages: [...chat.messages] };

test("tokenizer.json alone is enough for bare text", () => {
  expect(pieces({ "tokenizer.json": json }, hello)).toEqual(["hello"]);
});

test("the configuration says what is put around bare text, whatever the post-processor does", () => {
  const around = {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<|user|>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [],
    special_tokens: { "<|user|>": { id: "<|user|>", ids: [0], tokens: ["<|user|>"] } },
  };
  const files = { "tokenizer.json": { ...json, post_processor: around } };
  const config = (more: object) => ({ ...files, "tokenizer_config.json": { eos_token: "<|end|>", ...more } });
  expect([
    pieces(files, hello),
    pieces(config({}), hello),
    pieces(config({ add_bos_token: false }), hello),
    pieces(
      config({ add_bos_token: true, bos_token: { content: "<|assistant|>" }, add_eos_token: true }),
      hello,
    ),
    pieces(config({ add_bos_token: true, bos_token: null }), hello),
  ]).toEqual([
    ["<|user|>", "hello"],
    ["<|user|>", "hello"],
    ["hello"],
    ["<|assistant|>", "hello", "<|end|>"],
    ["hello"],
  ]);
});

test("templates count in their order: the file, the configuration, chat_template.json", () => {
  const base = { "tokenizer.json": json };
  const config = { "tokenizer_config.json": { chat_template: "config" } };
  const other = { "chat_template.json": { chat_template: "json" } };
  const named = [
    { name: "default", template: "list" },
    { name: "tool_use", template: "tools" },
  ];
  const list = { "tokenizer_config.json": { chat_template: named } };
  const withTools = { ...messages, tools: [{}] };
  expect([
    pieces({ ...base, ...config, ...other, "chat_template.jinja": "file" }, messages).join(""),
    pieces({ ...base, ...config, ...other }, messages).join(""),
    pieces({ ...base, ...other }, messages).join(""),
    pieces({ ...base, ...list }, messages).join(""),
    pieces({ ...base, ...list }, withTools).join(""),
    pieces(
      { ...base, "chat_template.jinja": "a", "additional_chat_templates/tool_use.jinja": "b" },
      withTools,
    ).join(""),
  ]).toEqual(["file", "config", "json", "list", "tools", "b"]);
});

test("templates see tokens by name, written as texts or as objects, and none as nothing", () => {
  const config = {
    chat_template: "[{{ bos_token }}][{{ eos_token }}][{{ pad_token }}][{{ unk_token is defined }}]",
    bos_token: { content: "<|user|>" },
    eos_token: "<|end|>",
    pad_token: null,
  };
  expect(pieces({ "tokenizer.json": json, "tokenizer_config.json": config }, messages).join("")).toBe(
    "[<|user|>][<|end|>][][False]",
  );
});

test("end tokens are those of all files together", () => {
  const text = open({
    "tokenizer.json": json,
    "tokenizer_config.json": { eos_token: "<|end|>" },
    "generation_config.json": { eos_token_id: [0, 1] },
    "config.json": { eos_token_id: 5, text_config: { eos_token_id: 6 } },
  });
  expect([...text.endTokens].sort()).toEqual([0, 1, 2, 5, 6]);
});

test("tokens that only the configuration knows are found, and control tokens are not text", () => {
  const text = open({
    "tokenizer.json": json,
    "tokenizer_config.json": {
      added_tokens_decoder: {
        "900": { content: "<new>", special: false },
        "901": { content: "<ctl>", special: false },
      },
      additional_special_tokens: ["<ctl>"],
    },
  });
  const ids = text.encode({ type: "text", text: "<new><ctl>hello" });
  const stream = text.detokenizer();
  expect([ids.slice(0, 2), ids.map((id) => stream.push(id)).join("")]).toEqual([[900, 901], "<new>hello"]);
});

test("vocab.json and merges.txt, the older form, are read", () => {
  const { vocab, merges } = json.model as unknown as { vocab: object; merges: string[][] };
  const files = {
    "vocab.json": vocab,
    "merges.txt": `#version: 0.2\n${merges.map((pair) => pair.join(" ")).join("\n")}\n`,
  };
  expect(pieces(files, hello)).toEqual(["hello"]);
});

test("a folder without a tokenizer says which files are needed", () => {
  const failure = (files: Readonly<Record<string, unknown>>): Problem => {
    try {
      open(files);
    } catch (error) {
      if (error instanceof Problem) return error;
      throw error;
    }
    throw new Error("nothing was thrown");
  };
  const none = failure({});
  expect([none.kind, none.remedy?.includes("tokenizer.json and tokenizer_config.json")]).toEqual([
    "notFound",
    true,
  ]);
  expect(failure({ "tokenizer.model": "x" }).message).toInclude("tokenizer.model");
  expect(failure({ "tokenizer.json": '{"model": ' }).message).toInclude(
    "tokenizer.json is not the JSON file",
  );
  expect(failure({ "tokenizer.json": "[]" }).kind).toBe("invalid");
  expect(failure({ "tokenizer.json": {} }).kind).toBe("invalid");
  expect(failure({ "tokenizer.json": { ...json, model: { type: "Odd" } } }).kind).toBe("invalid");
  expect(failure({ "tokenizer.json": { ...json, pre_tokenizer: { type: "Odd" } } }).message).toInclude("Odd");
});
