/** One person reads a code to another: what both machines then know, and what every wrong step says. */
import { describe, expect, test } from "bun:test";
import { parseCode, shownCode } from "#actors/discovery/pairing/code";
import { freshIdentity } from "#actors/runtime/security/identity";
import { STEP_MS, type Steps, stepHere } from "#actors/runtime/security/steps";
import { JOIN_EXAMPLES } from "#actors/supervisor/command-examples";
import { Problem } from "#protocol/problem";
import { type Machine, middleman, Network, otherCode } from "./machines.ts";

const SECRET = "k5q2vuf3m7xw4nht6zrc2ydj5baelsgo";
const DAY_MS = 24 * 3600_000;

async function pair(): Promise<{ network: Network; host: Machine; guest: Machine } & Disposable> {
  const network = new Network();
  const [host, guest] = [network.start("studio"), network.start("mini")];
  return { network, host, guest, [Symbol.dispose]: () => network[Symbol.dispose]() };
}

describe("a machine with the code", () => {
  test("comes in; both know the other's name, and the invite is used", async () => {
    using home = await pair();
    const { host, guest } = home;
    const { code } = await host.invite();
    const joined = await guest.join(code);
    await host.reaches("used");
    expect({
      joined,
      invite: [host.desk.state.state, host.desk.state.joined],
      adopted: [guest.adopted?.cluster, guest.adopted?.addresses],
      names: guest.members.map(({ name }) => name),
    }).toEqual({
      joined: "joined studio as mini",
      invite: ["used", { node: guest.identity.node, name: "mini" }],
      adopted: [host.cluster, { [host.identity.node]: ["127.0.0.1:52416"] }],
      names: ["studio", "mini"],
    });
  });

  test("finds the way by the long code alone, in lower case and with blanks", async () => {
    using home = await pair();
    const { host, guest, network } = home;
    const { long } = await host.invite();
    network.machines.length = 0;
    expect(await guest.join(` ${long.toLowerCase()} `)).toBe("joined studio as mini");
  });

  test("is told apart from another of the same name", async () => {
    using network = new Network();
    const [host, guest] = [network.start("mac"), network.start("mac")];
    const { code } = await host.invite();
    expect(await guest.join(code)).toBe("joined mac as mac-2");
  });

  test("comes in although its clock is a day off", async () => {
    using home = await pair();
    const { host, guest } = home;
    await guest.time.pass(DAY_MS);
    const { code } = await host.invite();
    expect(await guest.join(code)).toBe("joined studio as mini");
  });

  test("comes in although each part of the proof takes both machines as long as one may", async () => {
    using network = new Network();
    const steps: Steps = async (step, words) => {
      const done = await stepHere(step, words);
      for (const { time } of network.machines) await time.pass(STEP_MS - 1);
      return done;
    };
    const [host, guest] = [network.start("studio", { steps }), network.start("mini", { steps })];
    const { code } = await host.invite(DAY_MS);
    expect(await guest.join(code)).toBe("joined studio as mini");
  });

  test("is told of the takeovers before, so that it takes no older list for a newer one", async () => {
    using home = await pair();
    const { host, guest } = home;
    host.admit = async (record) => ({ ...record, history: 2 });
    const { code } = await host.invite();
    await guest.join(code);
    expect(guest.adopted?.history).toBe(2);
  });

  test("may ask for its record again when the first one was lost on the way", async () => {
    using home = await pair();
    const { host, guest } = home;
    host.admit = async () => {
      throw new Problem("unavailable", "no majority answers");
    };
    const { code } = await host.invite();
    const first = await guest.join(code);
    const between = [guest.adopted, host.desk.state.state, host.desk.state.triesLeft];
    host.admit = async (record) => record;
    expect({ first, between, again: await guest.join(code), members: host.members.length }).toEqual({
      first: "no majority answers",
      between: [undefined, "open", 3],
      again: "joined studio as mini",
      members: 2,
    });
  });
});

test("the codes that the help shows are codes", () => {
  const shown = JOIN_EXAMPLES.match(/[A-Z2-9]{4}-[A-Z2-9]{4}/g) ?? [];
  expect({ some: shown.length > 0, read: shown.map((code) => shownCode(parseCode(code).secret)) }).toEqual({
    some: true,
    read: [...shown],
  });
});

describe("a wrong step", () => {
  test("a second invite ends the first, whose user neither hears of it as his own nor closes it", async () => {
    using home = await pair();
    const { host, guest } = home;
    const [first, second] = [await host.invite(), await host.invite()];
    const told = await new Promise((resolve) =>
      host.desk.watch(undefined, ({ invite }) => resolve([invite.state, invite.trouble]), first.code),
    );
    host.desk.closeInvite(first.code);
    const joined = [await guest.join(first.code), await guest.join(second.code)];
    expect({ told, joined }).toEqual({
      told: ["closed", "another invite took its place"],
      joined: ["the code is wrong; 2 tries are left", "joined studio as mini"],
    });
  });

  test("a slip of the pen costs no try", async () => {
    using home = await pair();
    const { host, guest } = home;
    const { code } = await host.invite();
    const slip = (code.startsWith("A") ? "B" : "A") + code.slice(1);
    const said = [await guest.join(slip), await guest.join("K7QM-2XT0"), await guest.join("K7QM")];
    expect({ said, left: host.desk.state.triesLeft }).toEqual({
      said: [
        "a sign of the code is wrong; nothing was sent, no try is lost",
        `"0" is in no code: codes have no 0, O, 1 or I; nothing was sent, no try is lost`,
        "a code has 8 signs, not 4; nothing was sent, no try is lost",
      ],
      left: 3,
    });
  });

  test("a wrong code says how many tries are left, and the third closes the invite", async () => {
    using home = await pair();
    const { host, guest } = home;
    const { code } = await host.invite();
    const wrong = otherCode(code);
    const said = [
      await guest.join(wrong),
      await guest.join(wrong),
      await guest.join(wrong),
      await guest.joinLate(code),
    ];
    expect({ said, state: host.desk.state.state, adopted: guest.adopted }).toEqual({
      said: [
        "the code is wrong; 2 tries are left",
        "the code is wrong; 1 try is left",
        "the code is wrong, and that was the last try: the invite of 127.0.0.1:PORT is closed".replace(
          "PORT",
          String(host.pairingPort),
        ),
        `the invite of 127.0.0.1:${host.pairingPort} was closed, by its user or after three wrong codes`,
      ],
      state: "closed",
      adopted: undefined,
    });
  });

  test("what is said of an earlier try is not said of the machine that comes in", async () => {
    using home = await pair();
    const { host, guest } = home;
    const { code } = await host.invite();
    await guest.join(otherCode(code));
    const before = await host.troubled();
    await guest.join(code);
    await host.reaches("used");
    expect([before, host.desk.state.trouble]).toEqual(["a wrong code came from 127.0.0.1", undefined]);
  });

  test("a code that was used, one that has expired and none at all are told apart", async () => {
    using home = await pair();
    const { host, guest, network } = home;
    const late = network.start("late");
    const { code } = await host.invite();
    await guest.join(code);
    await host.reaches("used");
    const used = await late.joinLate(code);
    const second = await host.invite(60_000);
    await host.time.pass(60_001);
    const expired = await late.joinLate(second.code);
    await host.time.pass(60_001);
    const gone = await late.joinLate(second.code);
    expect({
      used,
      expired,
      gone,
      named: await late.join(second.code, "studio"),
      port: host.pairingPort,
    }).toEqual({
      used: "the code was used already: an invite is for one machine",
      expired: "the code has expired",
      gone: "no machine nearby has an invite open: it was used, has expired, or is not in this network",
      named: "studio has no invite open: it was used, has expired or was closed",
      port: 0,
    });
  });

  test("a machine that has others already is refused before anything is sent", async () => {
    using home = await pair();
    const { host, guest, network } = home;
    const third = network.start("tower");
    await guest.join((await host.invite()).code);
    const { code } = await third.invite();
    expect({ said: await guest.join(code), left: third.desk.state.triesLeft }).toEqual({
      said: "this machine belongs to a home with other machines already",
      left: 3,
    });
  });

  test("two machines with a copied identity are both told", async () => {
    using network = new Network();
    const identity = freshIdentity();
    const [host, copy] = [network.start("studio", { identity }), network.start("copy", { identity })];
    const { code } = await host.invite();
    const said = await copy.join(code);
    expect([said, host.told, host.desk.state.triesLeft]).toEqual([
      expect.stringContaining("has the same identity as studio"),
      [expect.stringContaining("copy at 127.0.0.1 has the same identity as studio")],
      3,
    ]);
  });

  test("an inviter that goes away in the middle leaves nothing half done", async () => {
    using home = await pair();
    const { host, guest } = home;
    const { code } = await host.invite();
    host.admit = () => new Promise(() => {});
    const joining = guest.join(code);
    while (host.members.length === 1) await Bun.sleep(1);
    await guest.time.pass(40_001);
    expect({ said: await joining, adopted: guest.adopted, alone: guest.members.length }).toEqual({
      said: expect.stringContaining("said nothing more"),
      adopted: undefined,
      alone: 1,
    });
  });

  test("of several machines that let others in the user must name one", async () => {
    using home = await pair();
    const { host, guest, network } = home;
    const third = network.start("tower");
    const [{ code }] = [await host.invite(), await third.invite()];
    expect([await guest.join(code), await guest.join(code, "studio")]).toEqual([
      "2 machines nearby let others in: studio (127.0.0.1), tower (127.0.0.1)",
      "joined studio as mini",
    ]);
  });

  test("a machine that lets others in by the home's secret alone, or did by a code that is used, stands in no code's way", async () => {
    using home = await pair();
    const { host, guest, network } = home;
    const [tower, attic] = [network.start("tower", { secret: SECRET }), network.start("attic")];
    await tower.desk.start();
    const { code } = await host.invite();
    const first = await guest.join(code);
    // The other side hears of it by its own connection, and says so to all.
    while (host.inviting) await new Promise((resolve) => setImmediate(resolve));
    const { code: next } = await attic.invite();
    const late = network.start("late");
    expect([first, await late.join(next), tower.pairingPort > 0, host.pairingPort > 0]).toEqual([
      "joined studio as mini",
      "joined attic as late",
      true,
      true,
    ]);
  });

  test("T1 T5 somebody in the middle of the connection learns nothing and is let in nowhere", async () => {
    using home = await pair();
    const { host, guest } = home;
    const { code } = await host.invite();
    const { listener, seen } = await middleman(host.endpoint);
    const said = await guest.join(code, `127.0.0.1:${listener.port}`);
    listener.close();
    const text = Buffer.concat(seen).toString("latin1");
    expect({
      said,
      adopted: guest.adopted,
      members: host.members.length,
      shown: ["mini", "studio", code, code.replace("-", "")].filter((each) => text.includes(each)),
      state: [host.desk.state.state, host.desk.state.triesLeft],
    }).toEqual({
      said: expect.stringContaining("went away"),
      adopted: undefined,
      members: 1,
      shown: [],
      state: ["open", 2],
    });
  });
});
