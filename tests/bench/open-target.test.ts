/** What the bench asks of an exo that runs, for a placement that its config names: the exo is a script. */
import { expect, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import { openTarget } from "#actors/supervisor/bench/open-target";
import { Unplaced } from "#actors/supervisor/bench/placements";
import { readConfig } from "#actors/supervisor/bench/read-config";
import { configOf, surroundings } from "#actors/supervisor/home/config";
import type { Session } from "#actors/supervisor/session";
import { environmentOf, freshFolder } from "../cli/exo.ts";
import { fakeDaemon, loadedModel, type Script } from "../cli/fake-daemon.ts";

const placement = { label: "pipeline", wish: { strategy: "pipeline" } } as const;

function sessionOf(
  home: string,
  host?: string,
  said: string[] = [],
  { signal } = new AbortController(),
): Session {
  const around = { ...surroundings([]), env: environmentOf(home), userHome: home, folder: home };
  const plain = (_: string, text: string) => text;
  return {
    build: { version: "1", commit: "source" },
    config: configOf(host === undefined ? {} : { host }, around),
    terminal: {
      out: () => {},
      err: (text) => void said.push(text),
      inIsTerminal: false,
      outIsTerminal: false,
      errIsTerminal: false,
      redraws: false,
      columns: () => 80,
      outStyle: plain,
      errStyle: plain,
    },
    progress: { milestone: () => {}, bar: () => {}, status: () => {}, end: () => {} },
    clock: systemClock,
    signal,
    json: false,
    quiet: false,
    verbose: false,
    yes: false,
  };
}

/** What came of opening it and giving it back, and what the exo was asked to do for that. */
async function opened(script: Script, isInterrupted = false) {
  using home = freshFolder();
  await using daemon = fakeDaemon(script);
  const config = readConfig("models: [m]\nscenarios: [{name: s}]\n", "c.yaml");
  const said: string[] = [];
  const controller = new AbortController();
  const session = sessionOf(home.path, daemon.url, said, controller);
  const came = await openTarget(session, config, { model: { id: "m" }, placement, pull: false }).then(
    ({ close, kind }) => {
      if (isInterrupted) controller.abort();
      return close().then(
        () => kind,
        (error: Error) => `not given back: ${error.message}`,
      );
    },
    (error: Error) => (error instanceof Unplaced ? `unplaced: ${error.message}` : `failed: ${error.message}`),
  );
  const posted = daemon.asked.filter(({ body }) => body !== undefined);
  return {
    came,
    posted: posted.map(({ path, body }) => [path, body?.model, body?.strategy]),
    said: said.join(""),
  };
}

const LOAD = ["/exo/v1/load", "m", "pipeline"];
const STOP = ["/exo/v1/stop", "m", undefined];
const NOT_THERE = { status: 404, error: { code: "model_not_found", message: "m is not loaded" } };

test("a model whose load failed before is loaded; one that others hold is left to them", async () => {
  const failed = { ...loadedModel("m"), state: "failed" };
  expect([await opened({ models: [failed] }), await opened({ models: [loadedModel("m")] })]).toEqual([
    { came: "daemon", posted: [LOAD, STOP], said: "" },
    { came: "unplaced: m is loaded already, as others asked for it", posted: [], said: "" },
  ]);
});

test("a model that others ask by the end stays with them, and that is said", async () => {
  const used = { ...loadedModel("m"), requests: 1 };
  const idle = await opened({ loads: [loadedModel("m")] });
  const left = { came: "daemon", posted: [LOAD], said: "m stays loaded: others ask it\n" };
  expect([idle, await opened({ loads: [used] }), await opened({ loads: [used] }, true)]).toEqual([
    { came: "daemon", posted: [LOAD, STOP], said: "" },
    left,
    left,
  ]);
});

test("a model that another loaded while its placement did not come up is left to that one", async () => {
  const full = { status: 503, error: { code: "no_capacity", message: "no plan fits m" } };
  expect(await opened({ failures: { "/exo/v1/load": full }, loads: [loadedModel("m")] })).toEqual({
    came: "unplaced: no plan fits m",
    posted: [LOAD],
    said: "",
  });
});

test("a placement that did not come up is taken back, and one that is gone already counts as given back", async () => {
  const full = { status: 503, error: { code: "no_capacity", message: "no plan fits m" } };
  expect([
    await opened({ failures: { "/exo/v1/load": full } }),
    await opened({ failures: { "/exo/v1/load": full, "/exo/v1/stop": NOT_THERE } }),
    await opened({ failures: { "/exo/v1/stop": NOT_THERE } }),
  ]).toEqual([
    { came: "unplaced: no plan fits m", posted: [LOAD, STOP], said: "" },
    { came: "unplaced: no plan fits m", posted: [LOAD, STOP], said: "" },
    { came: "daemon", posted: [LOAD, STOP], said: "" },
  ]);
});

test("a placement is not had of another than the exo that was there, once it has ended", async () => {
  using home = freshFolder();
  const config = readConfig("models: [m]\nscenarios: [{name: s}]\n", "c.yaml");
  const gone = fakeDaemon();
  await gone[Symbol.asyncDispose]();
  const why = async (host?: string) =>
    await openTarget(sessionOf(home.path, host), config, {
      model: { id: "m" },
      placement,
      pull: false,
    }).then(
      () => "opened",
      (error: Error) => [error instanceof Unplaced, error.message],
    );
  expect([await why(), await why(gone.url)]).toEqual([
    [true, "no exo is running on this machine"],
    [true, `no exo answers at ${gone.url}`],
  ]);
});
