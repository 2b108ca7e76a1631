/**
 * Tells a machine that began anew from two that run with one identity, as a copied disk gives it. Each start has a number of its own:
 * whoever began anew is never heard again under the number before.
 */

/** A start that was heard so lately lives: heartbeats come four times a second. */
const FRESH_MS = 600;
/** Of two starts the elder is still heard so long after the other came: longer than anything on its way from a process that ended. */
const PROOF_MS = 1500;
/** One of both tries again sooner while it runs; when only one did for so long, the other is gone. */
export const TWINS_MS = 60_000;
/** A disk has few copies; what a hostile member invents is bounded. */
const STARTS_MAX = 8;

/** `take` the link; refuse it and ask `later`, as it is not clear yet; or refuse both. */
export type Verdict = "take" | "later" | "copied";

export class Twins {
  /** Starts that were turned away: when first, and when last. */
  readonly #turnedAway = new Map<string, { readonly firstMs: number; lastMs: number }>();
  #isCopied = false;

  /** A link of the start `boot` comes, while the one of `linked` is open. */
  meet(
    boot: string,
    linked: { readonly boot: string; readonly silenceMs: number } | undefined,
    nowMs: number,
  ): Verdict {
    for (const [old, { lastMs }] of this.#turnedAway)
      if (nowMs - lastMs > TWINS_MS) this.#turnedAway.delete(old);
    const others = [...this.#turnedAway.keys()].some((other) => other !== boot);
    this.#isCopied &&= others;
    if (this.#isCopied) return this.#refuse(boot, nowMs, "copied");
    if (!linked || linked.boot === boot || linked.silenceMs > FRESH_MS) {
      this.#turnedAway.delete(boot);
      return "take";
    }
    const { firstMs = nowMs } = this.#turnedAway.get(boot) ?? {};
    if (nowMs - firstMs < PROOF_MS) return this.#refuse(boot, nowMs, "later");
    this.#isCopied = true;
    this.#refuse(linked.boot, nowMs, "copied");
    return this.#refuse(boot, nowMs, "copied");
  }

  #refuse(boot: string, nowMs: number, verdict: Verdict): Verdict {
    const known = this.#turnedAway.get(boot);
    if (known) known.lastMs = nowMs;
    else if (this.#turnedAway.size < STARTS_MAX)
      this.#turnedAway.set(boot, { firstMs: nowMs, lastMs: nowMs });
    return verdict;
  }
}
