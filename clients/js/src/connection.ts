import { Backoff } from "./backoff.js";
import type { Frame } from "./codec.js";
import { shielded } from "./listeners.js";
import { CODE_ABNORMAL, type Closed, type Transport, type TransportEvents } from "./transport.js";
import { onWake } from "./wake.js";

/** So long a connection has to be open to count as a success, unless something else is said. */
export const STABLE_MS = 5_000;

const CODE_NORMAL = 1000;
/** The application says that who is connected may not be. */
const CODE_NOT_PERMITTED = 4403;

/** How a connection comes to be and comes back. */
export interface ConnectionOptions {
  /** The longest first wait before it comes back, in milliseconds; default 500. */
  reconnectBaseMs?: number;
  /** The longest wait, in milliseconds; default 30 000. */
  reconnectMaxMs?: number;
  /** So long it, or a topic, has to hold to count as a success, in milliseconds; default 5 000. */
  stableMs?: number;
  /** How long an attempt may take, in milliseconds; default 10 000. */
  openTimeoutMs?: number;
  /** What may wait inside of an open connection, in bytes; default 8 MiB. More is refused. */
  bufferedBytesMax?: number;
  /**
   * Whether it comes back after that. By default it does, except after 1000,
   * which says that the application has finished, and 4403, not permitted.
   */
  reconnects?: (closed: Closed) => boolean;
}

/** What a connection tells its owner. */
export interface ConnectionEvents {
  opened(): void;
  frame(frame: Frame): void;
  /** It has ended, or an attempt has failed; `returns` says whether it comes back by itself. */
  closed(closed: Closed, returns: boolean): void;
  /** The page has woken up with an open connection, which may be a dead one. */
  woken(): void;
}

type State = "idle" | "connecting" | "open" | "waiting";

/** A connection that comes back: one transport after another, with backoff between them. */
export class Connection {
  readonly #dial: (events: TransportEvents) => Promise<Transport>;
  readonly #events: ConnectionEvents;
  readonly #options: Required<ConnectionOptions>;
  readonly #backoff: Backoff;
  #state: State = "idle";
  #transport: Transport | null = null;
  /** Counts the attempts, so that what an old one still says is not heard. */
  #attempt = 0;
  #openedAtMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopWaking = (): void => {};

  constructor(
    dial: (events: TransportEvents) => Promise<Transport>,
    events: ConnectionEvents,
    options: ConnectionOptions,
  ) {
    this.#dial = dial;
    this.#events = events;
    this.#options = {
      reconnectBaseMs: options.reconnectBaseMs ?? 500,
      reconnectMaxMs: options.reconnectMaxMs ?? 30_000,
      stableMs: options.stableMs ?? STABLE_MS,
      openTimeoutMs: options.openTimeoutMs ?? 10_000,
      bufferedBytesMax: options.bufferedBytesMax ?? 8 * 1024 * 1024,
      reconnects: options.reconnects ?? (({ code }) => code !== CODE_NORMAL && code !== CODE_NOT_PERMITTED),
    };
    this.#backoff = new Backoff({ baseMs: this.#options.reconnectBaseMs, maxMs: this.#options.reconnectMaxMs });
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  get isIdle(): boolean {
    return this.#state === "idle";
  }

  /** Whether silence of the open transport may mean that nobody is there. */
  get needsHeartbeat(): boolean {
    return this.#transport?.needsHeartbeat ?? false;
  }

  /** Connects, at once even if it was about to wait. */
  connect(): void {
    if (this.#state === "open" || this.#state === "connecting") return;
    if (this.#state === "idle") this.#stopWaking = onWake(() => this.#wake());
    this.#begin();
  }

  /** Ends it for good, until the next `connect`. Throws, and ends nothing, if the code may not be sent. */
  disconnect(code: number, reason: string): void {
    this.#transport?.close(code, reason);
    this.#transport = null;
    this.#stopWaking();
    this.#leave("idle");
  }

  /** Ends the present transport because something is wrong with it, and comes back. */
  drop(code: number, reason: string): void {
    if (this.#state !== "open" && this.#state !== "connecting") return;
    this.#transport?.close(code, reason);
    this.#ended(CODE_ABNORMAL, reason);
  }

  /** Sends a frame, or says that it cannot: not open, or too much waits already. */
  send(frame: Frame): boolean {
    const transport = this.#transport;
    if (this.#state !== "open" || transport === null) return false;
    if (transport.bufferedBytes > this.#options.bufferedBytesMax) return false;
    transport.send(frame);
    return true;
  }

  /** Sends frames that were taken while it was not open, however many they are. */
  flush(frames: Frame[]): void {
    for (const frame of frames) this.#transport?.send(frame);
  }

  #begin(): void {
    this.#leave("connecting");
    const attempt = this.#attempt;
    const current = (call: () => void): void => {
      if (attempt === this.#attempt) call();
    };
    this.#timer = setTimeout(() => this.drop(CODE_NORMAL, "no answer in time"), this.#options.openTimeoutMs);
    const events: TransportEvents = {
      opened: () => current(() => this.#opened()),
      frame: (frame) => current(() => this.#events.frame(frame)),
      closed: (code, reason) => current(() => this.#ended(code, reason)),
    };
    this.#dial(events).then(
      (transport) => {
        if (attempt === this.#attempt) this.#transport = transport;
        else transport.close(CODE_NORMAL, "not wanted any more");
      },
      (error: unknown) => current(() => this.#ended(CODE_ABNORMAL, String(error))),
    );
  }

  #opened(): void {
    clearTimeout(this.#timer);
    this.#state = "open";
    this.#openedAtMs = Date.now();
    this.#events.opened();
  }

  #ended(code: number, reason: string): void {
    const opened = this.#state === "open";
    if (opened && Date.now() - this.#openedAtMs >= this.#options.stableMs) this.#backoff.reset();
    const closed = { code, reason, opened };
    let returns = true;
    shielded(() => {
      returns = this.#options.reconnects(closed);
    });
    this.#transport = null;
    this.#leave(returns ? "waiting" : "idle");
    if (returns) this.#timer = setTimeout(() => this.#begin(), this.#backoff.next());
    else this.#stopWaking();
    this.#events.closed(closed, returns);
  }

  /** Into `state`, in which nothing is heard of what was before. */
  #leave(state: State): void {
    clearTimeout(this.#timer);
    this.#attempt += 1;
    this.#state = state;
  }

  #wake(): void {
    if (this.#state === "waiting") this.#begin();
    else if (this.#state === "open") this.#events.woken();
  }
}
