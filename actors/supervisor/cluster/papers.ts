/**
 * What this node proves itself with, and what others have to prove to it: the cluster's key where it is held, this node's
 * certificate, and both again when the cluster's key is another (reliability.md 3.7).
 */

import { X509Certificate } from "node:crypto";
import type { Clock } from "#actors/runtime/clock";
import { crashOf } from "#actors/runtime/part";
import { authorityKey, followed, hasSigned } from "#actors/runtime/security/authority";
import { keyOf, nodeCertificate } from "#actors/runtime/security/certificate";
import type { Identity } from "#actors/runtime/security/identity";
import { isSigned } from "#actors/runtime/security/member-list";
import type { Steps } from "#actors/runtime/security/steps";
import type { Trust } from "#actors/runtime/transport/trust";
import type { Authority, MemberList, Notice } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { MadeCertificates } from "./made-certificates.ts";
import { authorityOf, type ClusterRecord, recordedAuthority } from "./record.ts";
import { unsealedKey } from "./sealed-key.ts";
import type { ClusterState } from "./state.ts";

export interface PapersPorts {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly steps?: Steps | undefined;
  readonly record: () => ClusterRecord;
  readonly save: (part: Partial<ClusterRecord>) => void;
  readonly list: () => MemberList;
  readonly state: () => ClusterState | undefined;
  /** Whether the state's history is newer than the record's: then it is right although its numbers are lower. */
  readonly overtaken: () => boolean;
  /** Members that are linked and may sign, who leads first. */
  readonly signers: () => readonly NodeId[];
  /** Asks a member for a certificate; throws Problem. */
  readonly ask: (node: NodeId) => Promise<string>;
  /** Links are made with other certificates from now on. */
  readonly renewed: () => void;
  /** The record says something newer. */
  readonly learnt: () => void;
  /** By this list, which this node is not on. */
  readonly expelled: (by: MemberList) => void;
  readonly troubled: (why: string) => void;
}

/** A certificate of the key before still opens a link for so long; afterwards its owner is told of the new key instead. */
const BEFORE_MS = 10 * 60_000;
const AGAIN_MS = 1000;
const PAIR_ANEW =
  "to come back, end it here: exo node NAME forget, then exo invite on another machine and exo join CODE here";

const ESTRANGED_TIMES = 3;
const TWO_HOMES =
  "has a key of this home that is not known here, and does not know the one here: two parts of it went on without each other; " +
  "choose the part that stays, and bring each machine of the other one back: exo node NAME forget on it, then exo invite on a machine that stays and exo join CODE on it";

export class Papers {
  readonly #ports: PapersPorts;
  readonly #opened = new WeakMap<Uint8Array, { readonly key: Identity | undefined }>();
  readonly #made = new MadeCertificates();
  #followed: string;
  #own: { readonly nodePem: string; readonly by: string; readonly isRight: boolean } | undefined;
  #sinceMs = Number.NEGATIVE_INFINITY;
  #renewing = false;
  #stopped = false;
  #saidLost = false;
  /** How often each was met that is a member by a key which is not known here. */
  readonly #estrangements = new Map<NodeId, number>();
  #turn = 0;

  constructor(ports: PapersPorts) {
    this.#ports = ports;
    this.#followed = ports.record().clusterPem;
  }

  /** The newest key that this node knows to be the cluster's. */
  get authority(): Authority {
    const known = authorityOf(this.#ports.record());
    const agreed = this.#ports.state()?.authority;
    if (!agreed) return known;
    const isNewer = this.#ports.overtaken() || agreed.number > known.number;
    // Who was just let in knows the newest key alone, and not those before that others still show.
    const isFuller = agreed.pem === known.pem && agreed.before.length > known.before.length;
    return isNewer || isFuller ? agreed : known;
  }

  /** The private part, where it is held. */
  get clusterKey(): Identity | undefined {
    const { state, record, identity } = this.#ports;
    const { clusterKeyBox } = record();
    const agreed = state()?.boxes[identity.node];
    const key = authorityKey(this.authority.pem);
    return [agreed, clusterKeyBox]
      .map((box) => box && this.#unsealed(box))
      .find((held) => held !== undefined && Buffer.compare(held.publicKey, key) === 0);
  }

  /** What links are made with; asked anew for each. */
  get trust(): Trust {
    const papers = this;
    const { record, list } = this.#ports;
    const isMember = (node: NodeId) => list().members.some((member) => member.node === node);
    return {
      get clusterPem() {
        return papers.authority.pem;
      },
      get formerPems() {
        return papers.authority.before.map(({ pem }) => pem);
      },
      get nodePem() {
        return record().nodePem;
      },
      get minimumMinor() {
        return list().minimumMinor;
      },
      isMember,
      isOutdated: (certificate) => papers.#isOutdated(certificate),
      notice: (node) => papers.#notice(node),
      noticed: (notice) => void papers.take(notice),
      newer: (node, notice) => papers.#newer(node, notice),
      estranged: (node) => papers.#estranged(node),
    };
  }

  /** The record or the state is another. */
  follow(): void {
    const { pem } = this.authority;
    if (pem !== this.#followed) {
      this.#followed = pem;
      this.#sinceMs = this.#ports.clock.nowMs();
      this.#ports.renewed();
    }
    if (!this.#renewing && !this.#hasOwn()) {
      this.#renewing = true;
      this.#renews();
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  /** A member's certificate by the newest key. Throws Problem `forbidden` where that is not held, `notFound` for a stranger. */
  async certificateFor(node: NodeId): Promise<string> {
    const { clusterKey, authority } = this;
    const member = this.#ports.list().members.find((each) => each.node === node);
    if (!clusterKey) throw new Problem("forbidden", "this machine does not hold the cluster's key");
    if (!member) throw new Problem("notFound", `${node.slice(0, 8)} is no machine of this home`);
    const { steps, list } = this.#ports;
    this.#made.keep(list());
    return await this.#made.of(node, authority.pem, () =>
      nodeCertificate({ node, publicKey: member.key }, clusterKey, authority.pem, steps),
    );
  }

  /**
   * A member says that there is another key, or that this node is a member no more: believed when the key that this node knows
   * signed for it, and passed over otherwise; "old" where this node knows more than who says it.
   */
  take(notice: Notice): "old" | "taken" {
    if (this.#stopped) return "taken"; // This node left that home meanwhile: several of its machines tell.
    const { cluster, version } = this.#ports.list();
    const isOld = notice.list.cluster === cluster && notice.list.version < version;
    if (!isOld) this.#take(notice);
    return isOld ? "old" : "taken";
  }

  #take({ authority: theirs, list, certificate }: Notice): void {
    const known = this.#ports.list();
    if (list.cluster !== known.cluster) return;
    const isNews = list.version > known.version || theirs.number > this.authority.number;
    // Of several that tell of a key, only some can make a certificate by it.
    if (!isNews && (certificate === undefined || this.#hasOwn())) return;
    const authority = followed(this.authority, theirs);
    if (!authority) this.#sayLost(theirs);
    if (!authority || !isSigned(list, authorityKey(authority.pem))) return;
    if (!list.members.some(({ node }) => node === this.#ports.identity.node)) {
      this.#ports.expelled(list);
      return;
    }
    const isOwn = certificate !== undefined && this.#isOwn(certificate, authority.pem);
    this.#ports.save({
      ...recordedAuthority(authority),
      members: list,
      ...(isOwn && { nodePem: certificate }),
    });
    this.#ports.learnt();
  }

  /** It was away for more keys than there are proofs of, or two halves of the home went on without each other. */
  #sayLost({ number }: Authority): void {
    if (this.#saidLost || number <= this.authority.number) return;
    this.#saidLost = true;
    this.#ports.troubled(
      `this machine's home has another key, which the one that is known here did not sign for; ${PAIR_ANEW}`,
    );
  }

  /** Once may be a machine that ends just then. */
  #estranged(node: NodeId): void {
    const times = (this.#estrangements.get(node) ?? 0) + 1;
    const member = this.#ports.list().members.find((each) => each.node === node);
    if (!member || times > ESTRANGED_TIMES) return;
    this.#estrangements.set(node, times);
    if (times === ESTRANGED_TIMES) this.#ports.troubled(`${member.name} ${TWO_HOMES}`);
  }

  #unsealed(box: Uint8Array): Identity | undefined {
    const tried = this.#opened.get(box);
    if (tried) return tried.key;
    const { identity, record } = this.#ports;
    const key = unsealedKey(identity, box, record().cluster);
    this.#opened.set(box, { key });
    return key;
  }

  #isOutdated(certificate: X509Certificate): boolean {
    const isLate = this.#ports.clock.nowMs() - this.#sinceMs >= BEFORE_MS;
    return isLate && !hasSigned(this.authority.pem, certificate);
  }

  async #notice(node: NodeId): Promise<Notice> {
    const { list } = this.#ports;
    const isMember = list().members.some((member) => member.node === node);
    const certificate = isMember && this.clusterKey ? await this.certificateFor(node) : undefined;
    return { authority: this.authority, list: list(), ...(certificate && { certificate }) };
  }

  /** One that was away while this node was let in, and all that it knows are gone, learns of it by nobody else. */
  #newer(node: NodeId, { authority: { pem }, list }: Notice): Promise<Notice> | undefined {
    const [own, { authority }] = [this.#ports.list(), this];
    if (list.cluster !== own.cluster || list.version >= own.version) return undefined;
    // Of the key that it knows it has a certificate already, or asks for one.
    return pem === authority.pem ? Promise.resolve({ authority, list: own }) : this.#notice(node);
  }

  /** Looked at whenever anything changes: the same two papers are compared once. */
  #hasOwn(): boolean {
    const { nodePem } = this.#ports.record();
    const { pem: by } = this.authority;
    if (this.#own?.nodePem !== nodePem || this.#own.by !== by)
      this.#own = { nodePem, by, isRight: this.#isOwn(nodePem, by) };
    return this.#own.isRight;
  }

  #isOwn(pem: string, by: string): boolean {
    try {
      const certificate = new X509Certificate(pem);
      const isFor = Buffer.compare(keyOf(certificate), this.#ports.identity.publicKey) === 0;
      return isFor && hasSigned(by, certificate);
    } catch {
      return false; // What is no certificate is not this node's.
    }
  }

  #renews(): void {
    void this.#renew().catch(crashOf(this.#ports.clock));
  }

  /** Until this node has a certificate by the newest key: its own work where it holds that key, else another's. */
  async #renew(): Promise<void> {
    const pem = await this.#fresh();
    if (this.#stopped) return;
    const { pem: by } = this.authority;
    if (pem !== undefined && this.#isOwn(pem, by)) {
      this.#ports.save({ nodePem: pem });
      this.#ports.renewed();
    }
    if (this.#hasOwn()) this.#renewing = false;
    else this.#ports.clock.after(AGAIN_MS, () => this.#renews());
  }

  async #fresh(): Promise<string | undefined> {
    const { identity, signers, ask } = this.#ports;
    try {
      if (this.clusterKey) return await this.certificateFor(identity.node);
      const all = signers();
      const signer = all[this.#turn++ % Math.max(1, all.length)];
      return signer && (await ask(signer));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return undefined; // Nobody who can sign is there now: asked again.
    }
  }
}
