import { expect, test } from "bun:test";
import { freshFolder } from "./exo.ts";
import { fakeDaemon, loadedModel, type Script } from "./fake-daemon.ts";
import { type Typist, typist } from "./pty.ts";

const CTRL_C = "\x03";
const CTRL_D = "\x04";

/** A chat with a model that answers by the script. */
function chatting(script: Script, env: Readonly<Record<string, string>> = {}, args: readonly string[] = []) {
  const stack = new AsyncDisposableStack();
  const home = stack.use(freshFolder());
  const daemon = stack.use(fakeDaemon({ models: [loadedModel("m")], ...script }));
  const user: Typist = stack.use(
    typist(["run", "m", ...args, "--host", daemon.url], { home: home.path, env }),
  );
  return { home, daemon, user, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const messages = ({ asked }: { asked: readonly { body: Record<string, unknown> | undefined }[] }) =>
  asked.flatMap(({ body }) => (body?.messages === undefined ? [] : [body.messages]));

test("a chat keeps what was said and ends with Ctrl-D", async () => {
  await using chat = chatting({ pieces: ["Hello", " you."] });
  const { user, daemon } = chat;
  await user.sees(">>> ");
  user.type("hi\r");
  await user.sees("Hello you.");
  await user.sees(">>> ");
  user.type("again\r");
  await user.sees("Hello you.");
  await user.sees(">>> ");
  user.type(CTRL_D);
  expect({ code: await user.exited, messages: messages(daemon) }).toEqual({
    code: 0,
    messages: [
      [{ role: "user", content: "hi" }],
      [
        { role: "user", content: "hi" },
        { role: "assistant", content: "Hello you." },
        { role: "user", content: "again" },
      ],
    ],
  });
});

test("Ctrl-C stops the answer and keeps what came; at an empty prompt twice leaves", async () => {
  await using chat = chatting({ pieces: ["as far as this", "hang"] });
  const { user, daemon } = chat;
  await user.sees(">>> ");
  user.type("count\r");
  await user.sees("as far as this");
  user.type(CTRL_C);
  await user.sees("(stopped)");
  await user.sees(">>> ");
  user.type("go on\r");
  await user.sees("as far as this");
  user.type(CTRL_C);
  await user.sees(">>> ");
  user.type(CTRL_C);
  await user.sees("Ctrl-C again");
  user.type(CTRL_C);
  expect({ code: await user.exited, messages: messages(daemon)[1] }).toEqual({
    code: 0,
    messages: [
      { role: "user", content: "count" },
      { role: "assistant", content: "as far as this" },
      { role: "user", content: "go on" },
    ],
  });
});

/** Keys, and the message they make. */
const typed: readonly (readonly [string, string, string])[] = [
  ["arrows and insertion", "wrld\x1b[D\x1b[D\x1b[Do\r", "world"],
  ["Ctrl-A and Ctrl-E", "b\x01a\x05c\r", "abc"],
  ["Ctrl-K", "keep this\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x0b\r", "keep"],
  ["Ctrl-U", "wrong\x15right\r", "right"],
  ["Ctrl-W", "one two\x17three\r", "one three"],
  ["backspace over an emoji", "a👨‍👩‍👧\x7fb\r", "ab"],
  ["wide characters", "日本\x1b[D語\r", "日語本"],
  ["Alt-Enter and Ctrl-J", "one\x1b\rtwo\nthree\r", "one\ntwo\nthree"],
  ["a bracketed paste", "\x1b[200~first\r\nsecond\x1b[201~!\r", "first\nsecond!"],
  ["a block in quotes", '"""first\rsecond"""\r', "first\nsecond"],
];

test.each(typed)("%s edit the message", async (_, keys, message) => {
  await using chat = chatting({ pieces: ["ok"] });
  const { user, daemon } = chat;
  await user.sees(">>> ");
  user.type(keys);
  await user.sees("ok");
  expect(messages(daemon)).toEqual([[{ role: "user", content: message }]]);
});

test("slash commands are not sent to the model, and unknown ones say so", async () => {
  await using chat = chatting({ pieces: ["ok"] });
  const { user, daemon } = chat;
  await user.sees(">>> ");
  const lines: readonly (readonly [string, string])[] = [
    ["/hlep", "did you mean /help?"],
    ["/help", "/retry"],
    ["/system Be brief.", "system prompt set"],
    ["/set temp 0", "temperature = 0"],
    ["/set top_k many", "must be a whole number"],
    ["hello", "ok"],
    ["/stats", "41 tok"],
    ["/save first", "kept as first"],
    ["/undo", "taken back: hello"],
    ["/load first", "2 messages"],
    ["/retry", "ok"],
    ["/clear", "forgotten"],
    ["/show", "0 messages"],
  ];
  for (const [line, answer] of lines) {
    user.type(`${line}\r`);
    await user.sees(answer);
    await user.sees(">>> ");
  }
  user.type("/bye\r");
  const asked = daemon.asked.filter(({ path }) => path === "/v1/chat/completions");
  const turns = [
    { role: "system", content: "Be brief." },
    { role: "user", content: "hello" },
  ];
  expect({
    code: await user.exited,
    asked: asked.map(({ body }) => [body?.messages, body?.temperature]),
  }).toEqual({
    code: 0,
    asked: [
      [turns, 0],
      [turns, 0],
    ],
  });
});

test("history is kept for the next chat, searched with Ctrl-R, and not kept with EXO_NO_HISTORY", async () => {
  using home = freshFolder();
  await using daemon = fakeDaemon({ models: [loadedModel("m")], pieces: ["ok"] });
  const say = async (keys: string, env: Readonly<Record<string, string>> = {}) => {
    await using user = typist(["run", "m", "--host", daemon.url], { home: home.path, env });
    await user.sees(">>> ");
    user.type(keys);
    await user.sees("ok");
    await user.sees(">>> ");
    user.type(CTRL_D);
    await user.exited;
  };
  await say("the first question\r");
  await say("a secret\r", { EXO_NO_HISTORY: "1" });
  await say("\x12first\r\r");
  const kept = await Bun.file(`${home.path}/exo/history`).text();
  expect({ kept, last: messages(daemon).at(-1) }).toEqual({
    kept: '"the first question"\n',
    last: [{ role: "user", content: "the first question" }],
  });
});

test("Markdown is rendered, control characters of the model are not obeyed", async () => {
  await using chat = chatting({
    pieces: ["Some **bold** text.\n\n", "```js\nlet a", " = 1;\n```\n", "end \x1b]0;title\x07"],
  });
  const { user } = chat;
  await user.sees(">>> ");
  user.type("hi\r");
  await user.sees("Some bold text.");
  await user.sees("│ let a = 1;");
  await user.sees("end \ufffd]0;title\ufffd");
  await user.sees(">>> ");
});

test("EXO_ACCESSIBLE prints what the model wrote and redraws nothing", async () => {
  await using chat = chatting({ pieces: ["Some **bold** text.\n\nMore."] }, { EXO_ACCESSIBLE: "1" });
  const { user } = chat;
  await user.sees(">>> ");
  user.type("hi\r");
  await user.sees("Some **bold** text.\n\nMore.");
  await user.sees(">>> ");
});

test("a failure is said and the chat goes on", async () => {
  await using chat = chatting({
    failure: { status: 503, error: { message: "the worker was lost", code: "unavailable" } },
  });
  const { user, daemon } = chat;
  await user.sees(">>> ");
  user.type("hi\r");
  await user.sees("✗ the worker was lost");
  await user.sees(">>> ");
  user.type("/retry\r");
  await user.sees("✗ the worker was lost");
  await user.sees(">>> ");
  expect(messages(daemon)).toEqual([[{ role: "user", content: "hi" }], [{ role: "user", content: "hi" }]]);
});
