/**
 * The code that one person reads to another: eight signs of 32, without those that look or sound alike (0 O, 1 I). Seven are
 * random and the last one checks them, so that a slip is found before it costs a try. 35 bits suffice because a guess can only be
 * tested with the inviting machine itself (OPAQUE), which takes three: one chance in eleven thousand million.
 */

import type { Endpoint } from "#actors/runtime/transport/network";
import { Problem } from "#protocol/problem";

const SIGNS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const RANDOM_SIGNS = 7;
const PREFIX = "exo:";
/** A long code is for scanning and pasting; a machine has seldom more addresses that others can reach. */
const HINTS_MAX = 6;

export interface Code {
  /** The eight signs, as both sides prove them. */
  readonly secret: string;
  /** Where the inviting machine listens, as far as the long form says. */
  readonly hints: readonly Endpoint[];
}

/** `K7QM2XTB`, from `random` bytes of a cryptographic source (one a sign; 256 is a multiple of 32, so all are alike likely). */
export function freshCode(random: (bytes: number) => Uint8Array): string {
  const signs = [...random(RANDOM_SIGNS)].map((byte) => SIGNS[byte % SIGNS.length] ?? "").join("");
  return signs + checkSign(signs);
}

/** As people read it: `K7QM-2XTB`. */
export const shownCode = (code: string): string => `${code.slice(0, 4)}-${code.slice(4)}`;

/** For a QR code or a message: `exo:K7QM2XTB@192.168.1.7:40123,10.0.0.7:40123`. */
export function longCode(code: string, hints: readonly Endpoint[]): string {
  const shown = hints.slice(0, HINTS_MAX).map(shownEndpoint);
  return shown.length === 0 ? `${PREFIX}${code}` : `${PREFIX}${code}@${shown.join(",")}`;
}

/** Reads both forms, in any case and with blanks or dashes anywhere. Throws Problem `invalid` that says what is wrong. */
export function parseCode(text: string): Code {
  const whole = text.trim().replace(/^exo:/i, "");
  const [signs = "", hints = ""] = whole.split("@", 2);
  const secret = signs.replaceAll(/[\s-]/g, "").toUpperCase();
  const strange = [...secret].find((sign) => !SIGNS.includes(sign));
  if (strange !== undefined) {
    const known = "0OI1".includes(strange) ? ": codes have no 0, O, 1 or I" : "";
    throw wrong(`"${strange}" is in no code${known}`);
  }
  if (secret.length !== RANDOM_SIGNS + 1) throw wrong(`a code has 8 signs, not ${secret.length}`);
  if (checkSign(secret.slice(0, -1)) !== secret.at(-1)) throw wrong("a sign of the code is wrong");
  return { secret, hints: hints === "" ? [] : hints.split(",", HINTS_MAX).map(parseEndpoint) };
}

const wrong = (why: string): Problem =>
  new Problem("invalid", `${why}; nothing was sent, no try is lost`, {
    param: "code",
    remedy: "look at the code again: exo join CODE",
  });

/** `192.168.1.7:40123` or `[fe80::1%eth0]:40123`; throws Problem `invalid`. */
export function parseEndpoint(text: string): Endpoint {
  const [, bracketed, plain, digits = ""] =
    /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text.trim()) ?? [];
  const [host, port] = [bracketed ?? plain, Number(digits)];
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port };
  throw new Problem("invalid", `"${text.slice(0, 80)}" is no address`, {
    param: "address",
    remedy: "write host:port, such as 192.168.1.7:40123 or [fe80::1%en0]:40123",
  });
}

export const shownEndpoint = ({ host, port }: Endpoint): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

/** Luhn's check over 32 signs (ISO/IEC 7812-1, annex B, in another base): one wrong sign or two swapped neighbours are found. */
function checkSign(signs: string): string {
  let sum = 0;
  for (const [at, sign] of [...signs].reverse().entries()) {
    const value = SIGNS.indexOf(sign) * (at % 2 === 0 ? 2 : 1);
    sum += Math.floor(value / SIGNS.length) + (value % SIGNS.length);
  }
  return SIGNS[(SIGNS.length - (sum % SIGNS.length)) % SIGNS.length] ?? "";
}
