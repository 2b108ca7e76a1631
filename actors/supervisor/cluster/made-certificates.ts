/** Certificates that this node makes for members, or has made: however often one is asked for, it costs one process. */
import type { MemberList } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";

interface Made {
  /** The cluster's certificate that it is by. */
  readonly by: string;
  readonly certificate: Promise<string>;
}

export class MadeCertificates {
  readonly #made = new Map<NodeId, Made>();

  /** Who asks while it is made waits for the same, also where it hears no more; one that could not be made is made anew. */
  of(node: NodeId, by: string, make: () => Promise<string>): Promise<string> {
    const known = this.#made.get(node);
    if (known?.by === by) return known.certificate;
    const made = { by, certificate: make() };
    this.#made.set(node, made);
    // Told to who asked.
    made.certificate.catch(() => this.#made.get(node) === made && this.#made.delete(node));
    return made.certificate;
  }

  /** No more of them than the home has machines. */
  keep({ members }: MemberList): void {
    for (const known of this.#made.keys())
      if (!members.some(({ node }) => node === known)) this.#made.delete(known);
  }
}
