/** The ways to a server. */
export type TransportName = "websocket" | "longpoll";

/** What is used: one of them only, or WebSockets with long-poll behind them. */
export type TransportPolicy = TransportName | "auto";

/** After so many failures in a row even WebSockets that once worked are given up for a while. */
const FAILURES_MAX = 3;

/**
 * Chooses the way of the next attempt. With `auto` it is a WebSocket until one
 * does not open; then the two take turns until one opens. Where WebSockets have
 * worked before, a failure more likely means a server that restarts than a
 * proxy in the way, so three in a row are needed.
 */
export class TransportChoice {
  readonly #policy: TransportPolicy;
  #next: TransportName;
  #proven = false;
  #failures = 0;

  constructor(policy: TransportPolicy) {
    this.#policy = policy;
    this.#next = policy === "longpoll" ? "longpoll" : "websocket";
  }

  /** The way of the next attempt. */
  get next(): TransportName {
    return this.#next;
  }

  /** Whether it is still unknown that frames get through WebSockets, and there is something else to try. */
  get isUnproven(): boolean {
    return this.#policy === "auto" && this.#next === "websocket" && !this.#proven;
  }

  /** A frame has come over the present way. */
  worked(): void {
    this.#failures = 0;
    if (this.#next === "websocket") this.#proven = true;
  }

  /** The present way did not open, or nothing came over it. */
  failed(): void {
    if (this.#policy !== "auto") return;
    this.#failures += 1;
    if (this.#next === "longpoll") this.#next = "websocket";
    else if (!this.#proven || this.#failures >= FAILURES_MAX) this.#next = "longpoll";
  }

  /** A connection that was open has ended: WebSockets have another chance. */
  ended(): void {
    if (this.#policy === "auto") this.#next = "websocket";
  }
}
