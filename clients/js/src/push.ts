import { shielded } from "./listeners.js";
import type { Reply } from "./message.js";

/** Why the answer to a push was not `ok`. */
export class PushError extends Error {
  override readonly name = "PushError";

  constructor(
    /** What was pushed. */
    readonly event: string,
    /** `error`, `timeout`, or a word of the application's. */
    readonly status: string,
    readonly response: unknown,
  ) {
    super(`${event} was answered with ${status}: ${JSON.stringify(response)}`);
  }
}

/** Something that was said to a topic, and the answer to it. */
export class Push {
  readonly #hooks: { status: string; call: (response: unknown) => void }[] = [];
  readonly #settled: ((reply: Reply) => void)[] = [];
  #reply: Reply | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** @internal What the answer is known by; `null` until it is sent. */
  ref: string | null = null;

  /** @internal */
  constructor(
    /** What is said. */
    readonly event: string,
  ) {}

  /** @internal Whether it was answered, one way or the other. */
  get isSettled(): boolean {
    return this.#reply !== null;
  }

  /**
   * Calls back with the response if the answer is `status`: `ok`, `error`, or a word
   * of the application's; `timeout` if there is none in time, or the connection
   * broke before there was, so that nobody knows whether it arrived. The
   * answers to a join come again with every join after a reconnect.
   */
  receive(status: string, callback: (response: any) => void): this {
    const reply = this.#reply;
    if (reply?.status === status) shielded(() => callback(reply.response));
    this.#hooks.push({ status, call: callback });
    return this;
  }

  /** The response to the first answer. Anything but `ok` throws a `PushError`. */
  reply(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle = ({ status, response }: Reply): void => {
        if (status === "ok") resolve(response);
        else reject(new PushError(this.event, status, response));
      };
      if (this.#reply === null) this.#settled.push(settle);
      else settle(this.#reply);
    });
  }

  /** @internal Waits from now on for an answer, and calls `expired` if none comes. */
  begin(timeoutMs: number, expired: () => void): void {
    this.cancel();
    this.#reply = null;
    this.#timer = setTimeout(expired, timeoutMs);
  }

  /** @internal Waits no longer, and does not say so. */
  cancel(): void {
    clearTimeout(this.#timer);
  }

  /** @internal The answer is there. */
  settle(status: string, response: unknown): void {
    this.cancel();
    const reply = { status, response };
    this.#reply = reply;
    for (const settle of this.#settled.splice(0)) settle(reply);
    for (const hook of this.#hooks.slice()) if (hook.status === status) shielded(() => hook.call(response));
  }
}
