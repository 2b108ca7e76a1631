/** What TLS and the node behind it say to a dial, as `TlsNetwork` does it, by the same certificates. */
import { X509Certificate } from "node:crypto";
import { hasSigned } from "#actors/runtime/security/authority";
import type { Trust } from "#actors/runtime/transport/trust";
import type { NodeId } from "#protocol/ids";
import { decodeNotice, encodeNotice } from "#protocol/notice";
import { Problem } from "#protocol/problem";

interface Party {
  readonly node: NodeId;
  /** Absent: it lets everybody in. */
  readonly trust?: Trust | undefined;
}

interface Refused {
  readonly why: string;
  /** What tells who dialled what became of its home; where that knows more itself, what tells the other side. */
  readonly news?: Promise<() => Promise<() => void> | undefined>;
}

/** Undefined: they get a link. */
export function refusalOf(from: Party, to: Party): Refused | undefined {
  const [own, theirs] = [from.trust, to.trust];
  if (!own || !theirs) return undefined;
  const certificate = new X509Certificate(own.nodePem);
  const isKnown = signedByAny(own, new X509Certificate(theirs.nodePem));
  if (!signedByAny(theirs, certificate)) {
    if (!isKnown) own.estranged?.(to.node);
    return { why: "TLS: it does not know this certificate" };
  }
  const opens = theirs.isMember(from.node) && theirs.isOutdated?.(certificate) !== true;
  if (isKnown && opens) return own.isMember(to.node) ? undefined : { why: "it is not a member" };
  const news = theirs.notice?.(from.node).then((notice) => {
    const bytes = encodeNotice(notice);
    return () => {
      const heard = decodeNotice(bytes);
      const newer = own.newer?.(to.node, heard)?.then(encodeNotice);
      own.noticed?.(heard);
      return newer?.then((own) => () => theirs.noticed?.(decodeNotice(own)));
    };
  });
  return { why: "it gives no link", ...(news && { news }) };
}

interface Answer {
  readonly reject: (problem: Problem) => void;
  /** Runs it when it has come back over the wire, if it does. */
  readonly passing: (run: () => void) => void;
  /** Dials once more, with what was told. */
  readonly again?: () => void;
}

export function refuse({ why, news }: Refused, { reject, passing, again }: Answer): void {
  if (!news || !again) reject(new Problem("forbidden", why));
  void news?.then((tell) =>
    passing(() => {
      const answer = tell();
      if (!answer) again?.();
      else
        void answer.then((tellBack) =>
          passing(() => {
            tellBack();
            again?.();
          }),
        );
    }),
  );
}

const signedByAny = ({ clusterPem, formerPems = [] }: Trust, certificate: X509Certificate): boolean =>
  [clusterPem, ...formerPems].some((pem) => hasSignedOnce(pem, certificate));

/** Storms dial thousands of times with the same papers. */
const known = new Map<string, boolean>();
function hasSignedOnce(pem: string, certificate: X509Certificate): boolean {
  const key = `${certificate.fingerprint256}${pem}`;
  const found = known.get(key) ?? hasSigned(pem, certificate);
  known.set(key, found);
  return found;
}
