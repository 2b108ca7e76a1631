/** Request bodies that are nearly right, from a seed. For tests only. */
const bodies: readonly { readonly url: string; readonly body: object }[] = [
  {
    url: "/v1/chat/completions",
    body: {
      model: "m",
      messages: [
        { role: "system", content: "Be brief" },
        { role: "user", content: [{ type: "text", text: "Hi" }] },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "c", function: { name: "f", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "c", content: "x" },
      ],
      tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
      tool_choice: "auto",
      stream: false,
      stream_options: { include_usage: true },
      n: 2,
      temperature: 1,
      top_p: 0.5,
      stop: ["a"],
      logprobs: true,
      top_logprobs: 2,
      logit_bias: { "5": 1 },
      chat_template_kwargs: { a: [1] },
      max_tokens: 5,
    },
  },
  {
    url: "/v1/completions",
    body: {
      model: "m",
      prompt: [[1, 2], [3]],
      echo: true,
      logprobs: 1,
      n: 2,
      stream: true,
      stop: "x",
      max_tokens: 3,
      seed: 1,
    },
  },
  {
    url: "/v1/completions",
    body: { model: "m", prompt: ["a", "b"], stop_token_ids: [1], ignore_eos: true, min_tokens: 1 },
  },
];

const values: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  "",
  "x",
  "\ud800",
  "__proto__",
  [],
  {},
  [null],
  [[]],
  [1, "a"],
  { type: "x" },
  { __proto__: 1, constructor: 2 },
];

/** `count` bodies: most with one to three values replaced, removed or renamed, some cut or flipped as text. */
export function* mutations(count: number, seed = 1): Generator<{ url: string; body: string }> {
  const below = random(seed);
  for (let made = 0; made < count; made++) {
    const { url, body } = bodies[below(bodies.length)] ?? { url: "/v1/completions", body: {} };
    const copy = structuredClone(body);
    for (let change = 0; change <= below(3); change++) mutate(copy, below);
    const json = JSON.stringify(copy);
    yield { url, body: below(5) === 0 ? damage(json, below) : json };
  }
}

type Below = (limit: number) => number;

function mutate(root: object, below: Below): void {
  let at = root as Record<string, unknown>;
  for (;;) {
    const keys = Object.keys(at);
    const key = keys[below(keys.length)];
    if (key === undefined) return;
    const child = at[key];
    if (typeof child === "object" && child !== null && below(3) > 0) {
      at = child as Record<string, unknown>;
      continue;
    }
    const value = structuredClone(values[below(values.length)]);
    if (below(8) === 0) delete at[key];
    else at[key] = value;
    return;
  }
}

function damage(json: string, below: Below): string {
  const at = below(json.length);
  return below(2) === 0
    ? json.slice(0, at)
    : json.slice(0, at) + String.fromCharCode(below(0x3000)) + json.slice(at + 1);
}

/** Marsaglia's xorshift32: Journal of Statistical Software 8(14), 2003. */
function random(seed: number): Below {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return limit === 0 ? 0 : (state >>> 0) % limit;
  };
}
