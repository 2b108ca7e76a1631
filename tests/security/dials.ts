/** Dials of everybody who is no member, over real sockets: reliability.md T1. */
import { Home, intrude, strangers } from "./home.ts";

export interface Dialled {
  readonly dials: number;
  /** Dials of each kind of stranger that were answered with anything but the handshake. */
  readonly answered: Readonly<Record<string, number>>;
  readonly links: number;
}

/** As many as are greeted at once without one giving way to another. */
const AT_ONCE = 20;

export async function dialled(ofEach: number): Promise<Dialled> {
  const home = await Home.make();
  try {
    const host = await home.start();
    const answered: Record<string, number> = {};
    let dials = 0;
    for (const [name, papers] of Object.entries(await strangers(home))) {
      answered[name] = 0;
      for (let left = ofEach; left > 0; left -= AT_ONCE) {
        const now = Array.from({ length: Math.min(left, AT_ONCE) }, () => intrude(host, papers));
        answered[name] += (await Promise.all(now)).filter((bytes) => bytes > 0).length;
        dials += now.length;
      }
    }
    return { dials, answered, links: host.links.length };
  } finally {
    await home.close();
  }
}
