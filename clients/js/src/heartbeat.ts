/** How often it is made sure that somebody is there. */
export interface HeartbeatOptions {
  /** Between a sign of life that was asked for and the question for the next, in milliseconds; default 30 000. */
  intervalMs?: number | undefined;
  /** How long the next sign of life may take from there, in milliseconds; default 10 000. */
  timeoutMs?: number | undefined;
}

/** Asks for signs of life, and notices when none comes. */
export class Heartbeat {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #ask: () => void;
  readonly #missed: () => void;
  #asking = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: HeartbeatOptions, ask: () => void, missed: () => void) {
    this.#intervalMs = options.intervalMs ?? 30_000;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#ask = ask;
    this.#missed = missed;
  }

  /** The connection is open: the first question comes after an interval. */
  start(): void {
    this.stop();
    this.#timer = setTimeout(() => this.askNow(), this.#intervalMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#asking = false;
  }

  /** Asks at once, unless an answer is awaited anyway: that is not put off. */
  askNow(timeoutMs = this.#timeoutMs): void {
    if (this.#asking) return;
    this.stop();
    this.#asking = true;
    this.#timer = setTimeout(() => {
      this.#asking = false;
      this.#missed();
    }, timeoutMs);
    this.#ask();
  }

  /** Something has come, whatever it was: somebody is there. */
  heard(): void {
    if (this.#asking) this.start();
  }
}
