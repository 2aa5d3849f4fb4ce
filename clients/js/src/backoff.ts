/** How long to wait between attempts. */
export interface BackoffOptions {
  /** The longest first wait, in milliseconds. It doubles with every attempt. */
  baseMs: number;
  /** The longest wait at all, in milliseconds. */
  maxMs: number;
  /** Where the jitter comes from: a number from 0 up to, not including, 1. */
  random?: () => number;
}

/**
 * Exponential backoff with full jitter: every wait is drawn between nothing
 * and a ceiling that doubles, so that clients that lost the same server do not
 * come back at the same moment.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #attempts = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** The wait before the next attempt, in milliseconds. */
  next(): number {
    const { baseMs, maxMs, random = Math.random } = this.#options;
    const ceiling = Math.min(maxMs, baseMs * 2 ** this.#attempts);
    if (ceiling < maxMs) this.#attempts += 1;
    return Math.floor(random() * ceiling);
  }

  /** What was tried has worked: the next wait is a first one again. */
  reset(): void {
    this.#attempts = 0;
  }
}
