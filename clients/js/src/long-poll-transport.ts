import { decodeBase64 } from "./base64.js";
import type { Frame } from "./codec.js";
import { LongPollOutbox } from "./long-poll-outbox.js";
import { isRecord } from "./message.js";
import { CODE_ABNORMAL, type Transport, type TransportEvents } from "./transport.js";

const CODE_FORBIDDEN = 1008;
const CODE_FAILED = 1011;
const CODE_GONE = 3410;
/** A request that brings no message lasts at least so long, however fast the server answers. */
const EMPTY_POLL_MS = 100;

interface Answer {
  status: number;
  token: string | null;
  messages: string[];
}

/** What a long-poll needs to know. */
export interface LongPollOptions {
  /** The address with its query. */
  address: string;
  /** The token of who connects, sent with the first request and never in an address. */
  authToken?: string | undefined;
  /** The longest time for one request, in milliseconds; more than the server waits. */
  requestTimeoutMs: number;
}

/** Requests that wait for messages, and others that bring some, for where WebSockets do not get through. */
export class LongPollTransport implements Transport {
  readonly needsHeartbeat = false;
  readonly #options: LongPollOptions;
  readonly #outbox = new LongPollOutbox();
  readonly #reading = new AbortController();
  readonly #writing = new AbortController();
  #events: TransportEvents | null;
  #token: string | null = null;
  #posting = false;
  #lastPosts: ReturnType<typeof setTimeout> | undefined;

  constructor(options: LongPollOptions, events: TransportEvents) {
    this.#options = options;
    this.#events = events;
    void this.#guarded(() => this.#poll(), this.#reading.signal);
  }

  get bufferedBytes(): number {
    return this.#outbox.bytes;
  }

  send(frame: Frame): void {
    this.#outbox.add(frame);
    if (this.#posting) return;
    this.#posting = true;
    // What is sent in one turn goes with one request.
    queueMicrotask(() => void this.#guarded(() => this.#post(), this.#writing.signal));
  }

  close(): void {
    this.#events = null;
    this.#reading.abort();
    // What was sent before still goes out, as it does over a WebSocket, but not for ever.
    if (!this.#posting) return;
    this.#lastPosts = setTimeout(() => this.#end(), this.#options.requestTimeoutMs);
  }

  async #poll(): Promise<void> {
    while (this.#events !== null) {
      const begunAtMs = Date.now();
      const { status, token, messages } = await this.#request("GET", {}, null, this.#reading.signal);
      if (status === 410) this.#opened(token);
      else if (this.#token === null || (status !== 200 && status !== 204)) this.#fail(status);
      else if (messages.length > 0) this.#deliver(messages);
      else await pause(begunAtMs + EMPTY_POLL_MS - Date.now());
    }
  }

  /** The session is there, or, if there was one, it is gone. */
  #opened(token: string | null): void {
    if (this.#token !== null || token === null) {
      this.#fail(410);
      return;
    }
    this.#token = token;
    this.#events?.opened();
  }

  #deliver(messages: string[]): void {
    for (const message of messages) this.#events?.frame(message.startsWith("[") ? message : decodeBase64(message));
  }

  async #post(): Promise<void> {
    const headers = { "content-type": "application/x-ndjson" };
    while (!this.#outbox.isEmpty) {
      const { status } = await this.#request("POST", { ...headers }, this.#outbox.batch(), this.#writing.signal);
      if (status !== 200) this.#fail(status);
    }
    this.#posting = false;
    clearTimeout(this.#lastPosts);
  }

  async #request(
    method: string,
    headers: Record<string, string>,
    body: string | null,
    ended: AbortSignal,
  ): Promise<Answer> {
    const { address, authToken, requestTimeoutMs } = this.#options;
    if (this.#token !== null) headers["x-phoenix-longpoll-token"] = this.#token;
    else if (authToken !== undefined) headers["x-phoenix-authtoken"] = authToken;
    const limit = new AbortController();
    const stop = (): void => limit.abort();
    const timer = setTimeout(stop, requestTimeoutMs);
    ended.addEventListener("abort", stop);
    try {
      const response = await fetch(address, { method, headers, body, signal: limit.signal, cache: "no-store" });
      return answerIn(response.status, await response.json());
    } finally {
      clearTimeout(timer);
      ended.removeEventListener("abort", stop);
    }
  }

  /** Runs `work`. Whatever goes wrong in it is the end of the connection, unless it was `ended` from here. */
  async #guarded(work: () => Promise<void>, ended: AbortSignal): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (ended.aborted) return;
      this.#end()?.closed(CODE_ABNORMAL, error instanceof Error ? error.message : "the request failed");
    }
  }

  #fail(status: number): void {
    const events = this.#end();
    if (status === 403) events?.closed(CODE_FORBIDDEN, "forbidden");
    else if (status === 410) events?.closed(CODE_GONE, "the session is gone");
    else events?.closed(CODE_FAILED, `the server answered ${status}`);
  }

  /** Ends what goes on, and drops what waits. */
  #end(): TransportEvents | null {
    const events = this.#events;
    this.#events = null;
    this.#outbox.clear();
    this.#reading.abort();
    this.#writing.abort();
    clearTimeout(this.#lastPosts);
    return events;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The body says what the status is; one without a word of it is as HTTP says. */
function answerIn(httpStatus: number, body: unknown): Answer {
  const { status, token, messages } = isRecord(body) ? body : {};
  return {
    status: typeof status === "number" ? status : httpStatus,
    token: typeof token === "string" ? token : null,
    messages: Array.isArray(messages) ? messages.filter((it) => typeof it === "string") : [],
  };
}
