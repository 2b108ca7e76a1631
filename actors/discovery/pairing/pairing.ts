/** The Pairing actor's work: at most one invite and one application of this machine at a time, and the home's shared secret. */
import { crashOf } from "#actors/runtime/part";
import type { Endpoint } from "#actors/runtime/transport/network";
import type { StrangerChannel, StrangerListener } from "#actors/runtime/transport/stranger";
import type { Neighbour } from "#protocol/discovery";
import { type InviteRole, type InviteState, PairingReply, type Refusal } from "#protocol/pairing";
import { Problem, worded } from "#protocol/problem";
import { apply, type Joined } from "./applicant.ts";
import { freshCode, longCode, parseCode, parseEndpoint, shownCode } from "./code.ts";
import { type Door, hostSession } from "./host.ts";
import { Invite, noInvite, replaced } from "./invite.ts";
import { INVITE_TRIES } from "./invite-machine.ts";
import type { PairingPorts } from "./ports.ts";
import { SharedSecret } from "./shared-secret.ts";

/** Connections of strangers that are served at once; more are cut. */
const SESSIONS_MAX = 8;
const WATCH_MS = 20_000;
/** An open invite is shouted once a second, and some of that may be lost. */
const LISTEN_MS = 4000;
const LOOK_MS = 100;

export class PairingDesk {
  readonly #ports: PairingPorts;
  #invite: Invite | undefined;
  #secret: SharedSecret | undefined;
  #listener: StrangerListener | undefined;
  #shown = { port: 0, inviting: false };
  #settling: Promise<void> = Promise.resolve();
  #stopped = false;
  #sessions = 0;
  #joining = false;
  #changes = 0;
  #watchers = new Set<() => void>();

  constructor(ports: PairingPorts) {
    this.#ports = ports;
  }

  /** Opens the door for machines that know the home's secret, and looks for such doors. Throws Problem. */
  async start(): Promise<void> {
    const { secret } = this.#ports;
    if (secret === undefined) return;
    const attempt = (to: Endpoint) => ({ secret, by: "secret" as const, to, name: this.#ports.name() });
    this.#secret = await SharedSecret.open(secret, this.#ports, {
      join: (to) => this.#joinAt(attempt(to)),
      knock: (to) => apply(attempt(to), this.#ports),
    });
    await this.settle();
    this.#secret.start();
  }

  stop(): void {
    this.#stopped = true;
    this.#invite?.stop();
    this.#secret?.stop();
    this.#listener?.close();
    this.#listener = undefined;
  }

  async invite(ttlMs: number, role?: InviteRole): Promise<ReturnType<typeof PairingReply.Invited>> {
    const { admission, clock, random, addresses, steps } = this.#ports;
    if (!admission.mayAdmit)
      throw new Problem("forbidden", "this machine lets nobody in: it is a worker, or lacks the key yet", {
        remedy: "make the invite on the machine that leads: exo nodes marks it with *",
      });
    this.#invite?.stop();
    const code = freshCode(random);
    const opening = { clock, ttlMs, steps, ...(role && { role }) };
    const invite = await Invite.open(code, {
      ...opening,
      changed: () => {
        this.#changed();
        this.resettle();
      },
      over: () => this.resettle(),
    });
    // Another may have been asked for in the meantime.
    this.#invite?.stop();
    this.#invite = invite;
    await this.settle();
    const port = this.#listener?.port ?? 0;
    this.#changed();
    const hints = addresses().map((host) => ({ host, port }));
    return PairingReply.Invited({
      code: shownCode(code),
      long: longCode(code, hints),
      port,
      ttlMs,
      tries: INVITE_TRIES,
    });
  }

  /** Only the one with this code, where one is given: whoever asked for it may be late. */
  closeInvite(code?: string): void {
    if (!this.#isReplaced(code)) this.#invite?.close();
  }

  /** Whether a machine is just being let in here, or this one elsewhere. */
  get isBusy(): boolean {
    return this.#joining || this.#sessions > 0;
  }

  get state(): InviteState {
    return this.#invite?.state ?? noInvite;
  }

  /** Calls `tell` once with the state: at once when it is another than the one `seen`, else at the next change or after a while. */
  watch(
    seen: string | undefined,
    tell: (reply: ReturnType<typeof PairingReply.Invite>) => void,
    code?: string,
  ): void {
    const state = () => (this.#isReplaced(code) ? replaced : this.state);
    const answer = () => tell(PairingReply.Invite({ invite: state(), seen: String(this.#changes) }));
    if (seen !== String(this.#changes)) {
      answer();
      return;
    }
    const once = () => {
      cancel();
      this.#watchers.delete(once);
      answer();
    };
    const cancel = this.#ports.clock.after(WATCH_MS, once);
    this.#watchers.add(once);
  }

  #isReplaced(code: string | undefined): boolean {
    return code !== undefined && this.#invite !== undefined && shownCode(this.#invite.code) !== code;
  }

  /** Brings this machine into the home whose invite has this code. */
  async join(text: string, at: string | undefined, name: string | undefined): Promise<Joined> {
    const code = parseCode(text);
    this.#refuseWithOthers();
    const places = at === undefined ? await this.#inviting(code.hints) : await this.#named(at);
    const attempt = { secret: code.secret, by: "code" as const, name: name ?? this.#ports.name() };
    let unreachable: Problem | undefined;
    for (const to of places) {
      try {
        return await this.#joinAt({ ...attempt, to });
      } catch (error) {
        // Of several addresses of one machine the next is tried only while none has answered.
        if (!(error instanceof Problem) || error.kind !== "network") throw error;
        unreachable ??= error;
      }
    }
    throw unreachable ?? nobody();
  }

  async #joinAt(attempt: Parameters<typeof apply>[0]): Promise<Joined> {
    this.#refuseWithOthers();
    if (this.#joining) throw new Problem("overloaded", "this machine is just joining a home");
    this.#joining = true;
    try {
      const joined = await apply(attempt, this.#ports);
      this.#invite?.close();
      return joined;
    } finally {
      this.#joining = false;
      this.resettle();
    }
  }

  #refuseWithOthers(): void {
    const { admission, node } = this.#ports;
    if (admission.others === 0) return;
    throw new Problem("forbidden", "this machine belongs to a home with other machines already", {
      remedy: `leave that home first: exo node ${node.slice(0, 8)} forget`,
    });
  }

  /** Who lets in by a code, once anybody does; when the time is over, who has any door: it says why nobody comes in there. */
  async #open(patienceMs: number): Promise<readonly Neighbour[]> {
    const { clock, neighbours } = this.#ports;
    const untilMs = clock.nowMs() + patienceMs;
    for (;;) {
      const doors = (await neighbours()).filter(({ pairingPort }) => pairingPort > 0);
      const open = doors.filter(({ inviting }) => inviting);
      if (open.length > 0) return open;
      if (clock.nowMs() >= untilMs) return doors.length > 1 ? [] : doors;
      await new Promise<void>((resolve) => clock.after(LOOK_MS, resolve));
    }
  }

  /** Everybody nearby who shows an open door, if that is one machine; the code's own hints come first. */
  async #inviting(hints: readonly Endpoint[]): Promise<readonly Endpoint[]> {
    const open = await this.#open(hints.length > 0 ? 0 : LISTEN_MS);
    const known = open.filter((each) =>
      placesOf(each).some((place) => hints.some((hint) => same(hint, place))),
    );
    // By an address where the machine was just heard it answers sooner than by one that it only has.
    if (hints.length > 0) return [...known.flatMap(placesOf), ...hints];
    const [first, second] = open;
    if (!first) throw nobody();
    if (!second) return placesOf(first);
    const names = open.map((each) => `${each.name} (${placesOf(each).map(({ host }) => host)[0] ?? "?"})`);
    throw new Problem("invalid", `${open.length} machines nearby let others in: ${names.join(", ")}`, {
      param: "address",
      remedy: "say which one, so that no other's tries are used up: exo join CODE NAME",
    });
  }

  async #named(at: string): Promise<readonly Endpoint[]> {
    const near = await this.#ports.neighbours();
    const named = near.filter(
      ({ name, node, addresses }) => name === at || node.startsWith(at) || addresses.includes(at),
    );
    const [only, another] = named;
    if (another) {
      const which = named.map(({ node, name }) => `${name} ${node.slice(0, 8)}`).join(", ");
      throw new Problem("invalid", `${named.length} machines nearby are called ${at}: ${which}`, {
        param: "address",
        remedy: "name it by the first letters of its id: exo join CODE ID",
      });
    }
    if (!only) return [parseEndpoint(at)];
    if (only.pairingPort > 0) return placesOf(only);
    throw new Problem(
      "notFound",
      `${only.name} has no invite open: it was used, has expired or was closed`,
      FRESH,
    );
  }

  /** A port is open exactly while somebody may come in, or may ask why not. */
  async settle(): Promise<void> {
    const settled = this.#settling.then(() => this.#settle());
    this.#settling = settled.catch(() => {}); // Who called hears of it; who comes after tries anew.
    await settled;
  }

  /** As `settle`, for when no user waits for it. */
  resettle(): void {
    this.settle().catch((error: unknown) => this.#ports.troubled(worded(error)));
  }

  async #settle(): Promise<void> {
    const invites = this.#invite !== undefined && this.#invite.state.state !== "none";
    if (this.#stopped || !(invites || this.#secret?.isOpen)) {
      this.#listener?.close();
      this.#listener = undefined;
    } else this.#listener ??= await this.#listen();
    const shown = { port: this.#listener?.port ?? 0, inviting: this.#invite?.state.state === "open" };
    if (Bun.deepEquals(shown, this.#shown)) return;
    this.#shown = shown;
    this.#ports.announce(shown.port, shown.inviting);
  }

  async #listen(): Promise<StrangerListener | undefined> {
    const listener = await this.#ports.listen((channel) => this.#opened(channel));
    if (!this.#stopped) return listener;
    listener.close();
    return undefined;
  }

  #opened(channel: StrangerChannel): void {
    if (this.#sessions >= SESSIONS_MAX) return void channel.close();
    this.#sessions += 1;
    const over = () => {
      this.#sessions -= 1;
    };
    const session = hostSession(channel, this.#ports, (by) => this.#door(by));
    void session.finally(over).catch(crashOf(this.#ports.clock));
  }

  #door(by: "code" | "secret"): Door | Refusal {
    if (this.#joining) return "busy";
    if (by === "secret") return this.#secret?.isOpen ? this.#secret : "noSecret";
    return this.#invite ?? "noInvite";
  }

  #changed(): void {
    this.#changes += 1;
    for (const tell of [...this.#watchers]) tell();
  }
}

const FRESH = { remedy: "make a new code there: exo invite" };

const nobody = (): Problem =>
  new Problem(
    "notFound",
    "no machine nearby has an invite open: it was used, has expired, or is not in this network",
    {
      remedy: "run exo invite on the other machine; if they do not see each other: exo join CODE HOST:PORT",
    },
  );

const placesOf = ({ addresses, pairingPort }: Neighbour): readonly Endpoint[] =>
  addresses.map((host) => ({ host, port: pairingPort }));

const same = (a: Endpoint, b: Endpoint): boolean => a.host === b.host && a.port === b.port;
