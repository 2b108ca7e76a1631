/** Two members of one cluster, each a process of its own: this one, and the same program started again to serve. */
import { systemClock } from "#actors/runtime/clock";
import { clusterCertificate, nodeCertificate } from "#actors/runtime/security/certificate";
import { freshIdentity, identityFromPem } from "#actors/runtime/security/identity";
import { TlsNetwork } from "#actors/runtime/transport/tls";
import type { ClusterId, NodeId } from "#protocol/ids";

export interface Papers {
  readonly cluster: string;
  readonly certificate: string;
  readonly key: string;
  readonly members: readonly NodeId[];
}

/** A member's links, on a port of loopback. */
export function networkOf({ cluster, certificate, key, members }: Papers): TlsNetwork {
  return new TlsNetwork({
    identity: identityFromPem(key),
    boot: "0".repeat(32),
    capabilities: [],
    clock: systemClock,
    trust: {
      clusterPem: cluster,
      nodePem: certificate,
      minimumMinor: 0,
      isMember: (id) => members.includes(id),
    },
    listen: [{ host: "127.0.0.1", port: 0 }],
    refused: (from, why) => console.error(`${from}: ${why}`),
    crashed: (error) => {
      throw error;
    },
  });
}

/** In the other process: its papers. What it serves it says as one line of JSON. */
export const ownPapers = async (): Promise<Papers> => JSON.parse(await Bun.stdin.text());

/** Starts this program again with the word `serve`; `said` is its line. */
export async function two<Said>() {
  const [key, here, there] = [freshIdentity(), freshIdentity(), freshIdentity()];
  const cluster = await clusterCertificate(key, "bench" as ClusterId);
  const members = [here.node, there.node];
  const papersOf = async (identity: typeof here): Promise<Papers> => ({
    cluster,
    certificate: await nodeCertificate(identity, key, cluster),
    key: identity.pem,
    members,
  });
  const child = Bun.spawn([process.execPath, Bun.main, "serve"], {
    stdin: new Blob([JSON.stringify(await papersOf(there))]),
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await child.stdout.getReader().read();
  const said: Said = JSON.parse(new TextDecoder().decode(value));
  return { child, said, papers: await papersOf(here), here: here.node, there: there.node };
}

/** Of values in ascending order. */
export const quantile = (sorted: ArrayLike<number>, part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
