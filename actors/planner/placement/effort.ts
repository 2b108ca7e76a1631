/** How much work a search takes, in about so many layers looked at: counted, so that the same question always gets the same answer. */
export class Effort {
  #left: number;
  #piece = 0;

  constructor(most: number) {
    this.#left = most;
  }

  /** What was found until then has to do. */
  get isSpent(): boolean {
    return this.#left <= 0;
  }

  spend(work: number): void {
    this.#left -= work;
    this.#piece += work;
  }

  /** Since this was asked before. */
  piece(): number {
    const piece = this.#piece;
    this.#piece = 0;
    return piece;
  }
}
