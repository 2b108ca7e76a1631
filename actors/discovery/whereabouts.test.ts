import { expect, test } from "bun:test";
import { Whereabouts } from "./whereabouts.ts";

const at = (host: string) => ({ host, port: 1 });

test("where it proved itself is tried every other time, however much is said of other places", () => {
  const where = new Whereabouts();
  const tried = () => Array.from({ length: 6 }, (_, turn) => where.at(turn)?.host);
  const unknown = tried();
  for (const host of ["b", "c"]) where.learn(at(host));
  const unmet = tried();
  where.met(at("b"));
  where.forget(at("c"));
  const alone = tried();
  for (const host of ["d", "e", "f"]) where.learn(at(host));
  const met = tried();
  where.forget(at("b"));
  expect({ unknown, unmet, alone, met, moved: tried() }).toEqual({
    unknown: Array(6).fill(undefined),
    unmet: ["c", "b", "c", "b", "c", "b"],
    alone: Array(6).fill("b"),
    met: ["b", "f", "b", "e", "b", "d"],
    moved: ["f", "e", "d", "f", "e", "d"],
  });
});
