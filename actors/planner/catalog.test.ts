import { expect, test } from "bun:test";
import { catalog, entryOf, withSupport } from "./catalog.ts";

test("every name means one model, in lower case and without a slash", () => {
  const names = catalog.flatMap(({ name, aliases }) => [name, ...aliases]);
  const squeezed = names.map((name) => name.replace(/[^a-z0-9.]/g, ""));
  const repeated = squeezed.filter((name, i) => squeezed.indexOf(name) !== i);
  expect({ repeated, odd: names.filter((name) => !/^[a-z0-9][a-z0-9.-]*$/.test(name)) }).toEqual({
    repeated: [],
    odd: [],
  });
});

test("every entry has repositories, a size and a context that can be true", () => {
  const wrong = catalog.filter(({ repositories, bytes, parameters, contextLength }) => {
    const named = repositories.length > 0 && repositories.every((one) => /^[\w.-]+\/[\w.-]+$/.test(one));
    // Between three and sixteen bits a parameter, and a quarter more for what stays unquantised.
    const bits = (bytes * 8) / parameters;
    return !named || bits < 3 || bits > 20 || contextLength < 2048;
  });
  expect(wrong).toEqual([]);
});

test("every repository belongs to one entry", () => {
  const all = catalog.flatMap(({ repositories }) => repositories);
  expect(all.filter((one, i) => all.indexOf(one) !== i)).toEqual([]);
});

test("an entry is found by any of its repositories", () => {
  expect([entryOf("qwen/qwen3-0.6b")?.name, entryOf("nobody/nothing")]).toEqual(["qwen3-0.6b", undefined]);
});

test("what the engine cannot run is marked", () => {
  const marked = withSupport(["llama", "qwen3_moe"]);
  const of = (name: string) => marked.find((entry) => entry.name === name)?.supported;
  expect([of("smollm2"), of("qwen3-235b"), of("gpt-oss-20b")]).toEqual([true, true, false]);
});
