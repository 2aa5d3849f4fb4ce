/** How many things may wait at once. */
export class Budget {
  #used = 0;

  constructor(readonly max: number) {}

  /** Takes one, or says that none is left. */
  take(): boolean {
    if (this.#used >= this.max) return false;
    this.#used += 1;
    return true;
  }

  /** Gives `count` back. */
  give(count: number): void {
    this.#used -= count;
  }
}
