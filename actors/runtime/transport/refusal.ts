/**
 * Why a connection with another machine became no link, for the log of who runs this one: what was wrong, why that may be, and what
 * to do, where anything is.
 */
import type { NodeId } from "#protocol/ids";
import { codeOf } from "./thrown.ts";

export const CROWDED =
  "others dialled after it, and it had not said yet who it is: something dials this machine very often, see what runs there";
export const OTHER_MAJOR = "it speaks another major version of exo's protocol: update exo there or here";
export const TOLD = "it gave no link, and told what is new about this home: nothing is to be done";

/** As `exo nodes` shows it. */
const shown = (node: NodeId) => node.slice(0, 8);

export const stranger = (node: NodeId) =>
  `${shown(node)} is not on this home's list of machines, as far as this one has heard; if it should be: exo invite here, exo join there`;
export const outdated = (node: NodeId) =>
  `${shown(node)} was away while this home's key changed, and is given its new certificate: nothing is to be done`;
export const moved = (node: NodeId, expected: NodeId) =>
  `${shown(node)} answers there, and not ${shown(expected)}: addresses change, and it is looked for elsewhere`;

export const noHello = (ms: number) =>
  `it did not say within ${ms / 1000} s who it is: a machine or network with too much to do, or a program that is not exo; a machine of this home is tried again`;
export const slowNotice = (ms: number) =>
  `this machine took over ${ms / 1000} s to make what it is to be told: too much runs here; it asks again`;

/** Of a handshake that failed; codes of the library's check, of TLS or of the system. */
export function unproved(error: Error | null): string {
  const code = codeOf(error);
  if (code === undefined)
    return "it ended before it had said who it is: a program that is not exo, or a machine that ended just then";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return `another machine of this home answers there (${code}): addresses change, and the one that was meant is looked for elsewhere`;
  if (/^E[A-Z]+$/.test(code))
    return `what it says is not exo's TLS (${code}): another program, as a browser or a scanner; nothing is to be done if you know of it`;
  return `its certificate is not of this home's key (${code}): a machine of another home, or the key changed while one of both was off, and they tell each other; one of yours that stays away comes back by exo node NAME forget, exo invite and exo join`;
}

/** Of one that had begun well. */
export const broken = (error: Error) =>
  `the connection broke (${error.message}): a machine of this home is dialled again`;
