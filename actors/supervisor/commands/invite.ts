/** `exo invite`: lets one machine into this home, by a code that one person reads to another. */
import { randomBytes } from "node:crypto";
import { renderUnicodeCompact } from "uqr";
import { base32 } from "#actors/runtime/security/identity";
import type { Role } from "#protocol/cluster";
import { Problem } from "#protocol/problem";
import type { Client } from "../daemon/client.ts";
import { needDaemon } from "../daemon/daemon.ts";
import { CommandProblem, EXIT, usageProblem } from "../exit-code.ts";
import { printJson, type Session } from "../session.ts";
import { safeText } from "../terminal/safe-text.ts";
import { roleOf } from "./role.ts";

export interface InviteFlags {
  /** Milliseconds. */
  readonly ttl?: number;
  /** Whether to draw the code for a camera; by default on a terminal. */
  readonly qr?: boolean;
  /** Make a secret for all machines instead. */
  readonly secret?: boolean;
  /** Of the machine that comes in. */
  readonly role?: string;
}

interface Invited {
  readonly code: string;
  readonly long: string;
  readonly port: number;
  readonly expires_in_seconds: number;
  readonly tries: number;
}

interface Seen {
  readonly state: "open" | "used" | "expired" | "closed" | "none";
  readonly tries_left: number;
  readonly seconds_left: number;
  readonly joined?: { readonly node: string; readonly name: string };
  readonly trouble?: string;
  readonly seen: string;
}

const TTL_MS = 15 * 60_000;
const TTL_LEAST_MS = 1000;
const TTL_MOST_MS = 24 * 3600_000;
/** As long as the keys that it opens: trying is no way to it. */
const SECRET_BYTES = 32;

export async function invite(
  session: Session,
  { ttl = TTL_MS, qr, secret, role: word = "full" }: InviteFlags,
): Promise<void> {
  const role = roleOf(word);
  if (secret && role !== "full")
    throw usageProblem("who comes in by a secret has a full say", "exo node NAME role worker, once it is in");
  if (secret) return showSecret(session);
  if (ttl < TTL_LEAST_MS || ttl > TTL_MOST_MS)
    throw usageProblem(
      `an invite cannot be good for ${ttl / 1000} s`,
      "from 1s to 24h: exo invite --ttl 15m",
    );
  const daemon = await needDaemon(session);
  const asked = { ttl_seconds: ttl / 1000, role };
  const invited = await daemon.post<Invited>("/exo/v1/invite", asked, session.signal);
  show(session, invited, { qr, role });
  try {
    await outcome(session, daemon, invited.code);
  } finally {
    // Whoever stops waiting wants nobody to come in any more.
    if (session.signal.aborted)
      await daemon.post("/exo/v1/invite/close", { code: invited.code }).catch(() => {});
  }
}

function show(
  session: Session,
  { code, long, port, expires_in_seconds }: Invited,
  { qr, role }: { readonly qr: boolean | undefined; readonly role: Role },
): void {
  const { terminal, json, quiet, config, progress } = session;
  if (json) printJson(session, "invite", { event: "open", code, long, port, expires_in_seconds });
  else if (quiet) terminal.out(`${code}\n`);
  else terminal.out(`${terminal.outStyle("bold", code)}\n`);
  if (json || quiet) return;
  if (qr ?? (terminal.outIsTerminal && !config.terminal.accessible))
    terminal.out(`${renderUnicodeCompact(long, { border: 2 })}\n`);
  progress.milestone(`on the other machine: exo join ${code}`);
  progress.milestone(`where they do not see each other: exo join ${long}`);
  const which = role === "worker" ? "one machine, which computes and has no say" : "one machine";
  progress.milestone(`for ${which}, three tries, ${shownTime(expires_in_seconds)}; Ctrl-C ends it`);
}

function shownTime(seconds: number): string {
  const [count, unit] = seconds < 120 ? [seconds, "second"] : [seconds / 60, "minute"];
  return `${Math.round(count)} ${unit}${Math.round(count) === 1 ? "" : "s"}`;
}

/** Waits for the invite's end; throws Problem when nobody came in. */
async function outcome(session: Session, daemon: Client, code: string): Promise<void> {
  const { terminal, json, progress, signal } = session;
  let told: string | undefined;
  for (let seen: Seen | undefined; ; ) {
    const asked = { code, ...(seen && { seen: seen.seen }) };
    seen = await daemon.post<Seen>("/exo/v1/invite/watch", asked, signal);
    const { state, trouble, joined, tries_left } = seen;
    if (state === "open" && trouble !== undefined && trouble !== told) {
      told = trouble;
      progress.milestone(`${safeText(trouble)} (${tries_left} tries left)`);
    }
    if (state === "open") continue;
    if (!joined) throw ending(state, trouble);
    // It is on the list, and whether it knows that nobody here can tell.
    if (trouble !== undefined) throw new CommandProblem(EXIT.failed, safeText(trouble));
    if (json) return printJson(session, "invite", { event: "joined", ...joined });
    return progress.milestone(
      `${terminal.errStyle("green", "✓")} ${safeText(joined.name)} (${joined.node.slice(0, 8)}) came in`,
    );
  }
}

function ending(state: Seen["state"], trouble: string | undefined): Problem {
  const remedy = "make a new one: exo invite";
  if (state === "expired")
    return new CommandProblem(EXIT.failed, "nobody came: the invite has expired", { remedy });
  const why = trouble === undefined ? "" : `: ${safeText(trouble)}`;
  return new Problem("forbidden", `the invite was closed${why}`, { remedy });
}

function showSecret(session: Session): void {
  const secret = base32(randomBytes(SECRET_BYTES));
  if (session.json) printJson(session, "invite", { event: "secret", secret });
  else if (session.quiet) session.terminal.out(`${secret}\n`);
  else session.terminal.out(`cluster:\n  secret: ${secret}\n`);
  session.progress.milestone(
    "put these lines into exo.yaml in EXO_HOME of every machine of this home and restart exo there: they pair by themselves",
  );
}
