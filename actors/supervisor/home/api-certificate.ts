/** What the API shows clients of the network: the user's own certificate, or one made here that they are to trust. */
import { X509Certificate } from "node:crypto";
import { mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { type ServerCertificate, serverCertificate } from "#actors/runtime/security/server-certificate";
import type { Steps } from "#actors/runtime/security/steps";
import { Problem } from "#protocol/problem";
import { homeProblem } from "./home-problem.ts";
import { filled, refuseMode } from "./own-files.ts";

/** Made anew when it is good for less. */
const LEAST_SECONDS = 30 * 86_400;

/** Reads the user's own. Throws Problem. */
export async function ownCertificate(paths: {
  readonly certificate: string;
  readonly key: string;
}): Promise<ServerCertificate> {
  const [certificate, key] = await Promise.all([textOf(paths.certificate), textOf(paths.key)]);
  return { certificate, key };
}

const textOf = (path: string): Promise<string> =>
  readFile(path, "utf8").catch((cause: Error) => {
    const remedy = "see --tls-cert and --tls-key, or api.tls_cert in exo.yaml";
    throw new Problem("invalid", `${path} could not be read: ${cause.message}`, { remedy, cause });
  });

export const apiCertificatePath = (home: string): string => join(home, "api", "certificate.pem");

export interface MadeFor {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly nowSeconds: number;
}

/** Reads the one made before, or makes it. It keeps the names of its first day, so that it has to be trusted only once. Throws Problem. */
export async function madeCertificate(
  home: string,
  { nowSeconds, ...of }: MadeFor,
  steps?: Steps,
): Promise<ServerCertificate> {
  const folder = join(home, "api");
  const [path, keyPath] = [apiCertificatePath(home), join(folder, "key.pem")];
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    refuseMode(folder, (await stat(folder)).mode, "700");
    const kept = await keptIn(path, keyPath, nowSeconds);
    if (kept) return kept;
    const made = await serverCertificate(of, nowSeconds, steps);
    await put(keyPath, made.key);
    await put(path, made.certificate);
    return made;
  } catch (error) {
    throw homeProblem(error, `${path}, by which clients know this API, could not be read or made`);
  }
}

async function put(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  await filled(await open(temporary, "wx", 0o600), temporary, text);
  await rename(temporary, path);
}

/** Undefined when there is none, or none that fits its key and goes on for a while. */
async function keptIn(
  path: string,
  keyPath: string,
  nowSeconds: number,
): Promise<ServerCertificate | undefined> {
  try {
    const [certificate, key, { mode }] = await Promise.all([
      readFile(path, "utf8"),
      readFile(keyPath, "utf8"),
      stat(keyPath),
    ]);
    refuseMode(keyPath, mode, "600");
    const { validToDate } = new X509Certificate(certificate);
    return validToDate.getTime() / 1000 - nowSeconds > LEAST_SECONDS ? { certificate, key } : undefined;
  } catch (error) {
    if (error instanceof Problem) throw error;
    return undefined; // absent or half a file: it is made again.
  }
}
