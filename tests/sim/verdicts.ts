/** Who calls whom dead, and how soon: invariants 12 and 13 of reliability.md 5.1. */
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { Account } from "./account.ts";
import type { SimulatedHome } from "./home.ts";

/** What troubles a machine may still be felt so long after it: verdicts take ten seconds where a process hangs, and links come again. */
const AFTER_MS = 20_000;
const GONE_MEDIAN_MS = 3000;
const GONE_WORST_MS = 5000;
/** From here on losses may look like deaths. */
const ROUGH_LOSS = 0.2;
const GONE = new Set(["dead", "away"]);

interface Death {
  readonly name: string;
  /** As whom it died: it may begin anew as another. */
  readonly node: NodeId;
  readonly atMs: number;
  /** Who runs undisturbed, and has not seen it yet. */
  readonly viewers: Set<string>;
}

export class Verdicts {
  readonly #home: SimulatedHome;
  readonly #account: Account;
  /** Until when a machine's own verdicts, and those on it, prove nothing. */
  readonly #uneasyMs = new Map<string, number>();
  /** Whose network or disk is troubled until all is mended, however often its process begins again. */
  readonly #lasting = new Set<string>();
  /** Until when what lasts for a time of its own is felt: a system that stands still does so for the next process too. */
  readonly #timedMs = new Map<string, number>();
  readonly #seenMs: number[] = [];
  #roughMs = 0;
  #deaths: Death[] = [];

  constructor(home: SimulatedHome, account: Account) {
    this.#home = home;
    this.#account = account;
  }

  /** Something happens to the machine that lasts so long; without an end until `eased`. */
  trouble(name: string, ms: number): void {
    const untilMs = this.#home.time.nowMs + ms + AFTER_MS;
    this.#uneasyMs.set(name, Math.max(untilMs, this.#uneasyMs.get(name) ?? 0));
    if (Number.isFinite(ms)) this.#timedMs.set(name, Math.max(untilMs, this.#timedMs.get(name) ?? 0));
    for (const { viewers } of this.#deaths) viewers.delete(name);
  }

  /** Something happens to the machine that ends when all is mended, and not before. */
  lastingTrouble(name: string): void {
    this.#lasting.add(name);
    this.trouble(name, Number.POSITIVE_INFINITY);
  }

  /** Whatever had no end has ended. */
  eased(): void {
    this.#lasting.clear();
    const untilMs = this.#home.time.nowMs + AFTER_MS;
    for (const [name, ms] of this.#uneasyMs) this.#settle(name, Math.min(ms, untilMs));
  }

  weather(): void {
    if (this.#home.wire.weather.loss >= ROUGH_LOSS) this.#roughMs = Number.POSITIVE_INFINITY;
    else if (this.#roughMs === Number.POSITIVE_INFINITY) this.#roughMs = this.#home.time.nowMs + AFTER_MS;
    if (this.#roughMs > this.#home.time.nowMs) this.#deaths = [];
  }

  /** Its process ended; who runs undisturbed has to see it soon, but for who was never linked with it: it knows of no life that ended. */
  died(name: string): void {
    const node = this.#home.id(name);
    const viewers = [...this.#home.machines.keys()].filter(
      (viewer) => viewer !== name && this.#isEasy(viewer) && this.#home.machine(viewer).node?.isMember(node),
    );
    if (this.#isEasy(name))
      this.#deaths.push({
        name,
        node,
        atMs: this.#home.time.nowMs,
        viewers: new Set(viewers),
      });
    this.trouble(name, Number.POSITIVE_INFINITY);
  }

  started(name: string): void {
    this.#deaths = this.#deaths.filter((death) => death.name !== name);
    if (!this.#lasting.has(name)) this.#settle(name, this.#home.time.nowMs + AFTER_MS);
    this.#home.node(name).changed(() => void this.#look(name));
  }

  /** It is let in again: as after a start it has yet to be linked with the others. */
  cameIn(name: string): void {
    this.trouble(name, 0);
  }

  /** To be called often: who has not seen a death by now never will in time. */
  check(): void {
    const { nowMs } = this.#home.time;
    for (const { name, node, atMs, viewers } of this.#deaths)
      if (nowMs - atMs > GONE_WORST_MS)
        for (const viewer of viewers)
          if (this.#home.machine(viewer).node?.isMember(node))
            this.#account.blame(`${viewer} does not see after ${GONE_WORST_MS} ms that ${name} is dead`);
  }

  checkMedian(): void {
    const sorted = this.#seenMs.toSorted((a, b) => a - b);
    const median = sorted[sorted.length >> 1] ?? 0;
    if (sorted.length > 4 && median > GONE_MEDIAN_MS)
      this.#account.blame(`a death is seen after ${median} ms`);
  }

  #settle(name: string, untilMs: number): void {
    this.#uneasyMs.set(name, Math.max(untilMs, this.#timedMs.get(name) ?? 0));
  }

  #isEasy(name: string): boolean {
    const { nowMs } = this.#home.time;
    const { node } = this.#home.machine(name);
    return node !== undefined && nowMs >= (this.#uneasyMs.get(name) ?? 0) && nowMs >= this.#roughMs;
  }

  async #look(viewer: string): Promise<void> {
    const { node } = this.#home.machine(viewer);
    if (!node) return;
    const views = await node.nodes();
    for (const view of views) if (GONE.has(view.state)) this.#note(viewer, view);
  }

  #note(viewer: string, { node, state }: NodeView): void {
    const { nowMs } = this.#home.time;
    for (const { name, identity } of this.#home.machines.values()) {
      if (identity.node !== node) continue;
      if (state === "dead" && this.#isEasy(viewer) && this.#isEasy(name))
        this.#account.blame(`${viewer} calls ${name} dead, which lives`);
    }
    for (const death of this.#deaths)
      if (death.node === node && death.viewers.delete(viewer)) this.#seenMs.push(nowMs - death.atMs);
  }
}
