import { Listeners } from "./listeners.js";
import { isRecord } from "./message.js";
import { valueOf, type Params } from "./params.js";
import { PlainSocket, type PlainSocketOptions } from "./plain-socket.js";
import { LAST_SEEN_ID, Resume } from "./resume.js";
import type { Closed } from "./transport.js";

/** What a stream did not like about a frame. */
export interface StreamError {
  /** `malformed`, `unknown_stream`, `not_taken`, `bad_payload`, `rejected` or `failed`. */
  code: string;
  reason: string;
}

/** One stream of a demultiplexed socket. */
export class Stream {
  readonly #send: (payload: unknown) => boolean;
  readonly #resume = new Resume();
  readonly #messages = new Listeners<[payload: any]>();
  readonly #errors = new Listeners<[error: StreamError]>();
  readonly #resyncs = new Listeners<[payload: any]>();

  /** @internal */
  constructor(
    readonly name: string,
    send: (payload: unknown) => boolean,
  ) {
    this.#send = send;
  }

  /** The last message that was seen, if its group keeps a history. */
  get lastSeenId(): string | null {
    return this.#resume.lastSeenId;
  }

  /** Sends a JSON value on this stream, as `PlainSocket.send` does. */
  send(payload: unknown): boolean {
    return this.#send(payload);
  }

  onMessage(callback: (payload: any) => void): () => void {
    return this.#messages.add(callback);
  }

  onError(callback: (error: StreamError) => void): () => void {
    return this.#errors.add(callback);
  }

  /** More was missed than the history holds: whoever keeps a state has to fetch it. */
  onResync(callback: (payload: any) => void): () => void {
    return this.#resyncs.add(callback);
  }

  /** @internal */
  received(frame: Record<string, unknown>): void {
    const { error, payload } = frame;
    if (isRecord(error)) {
      this.#errors.emit({ code: String(error["code"]), reason: String(error["reason"]) });
      return;
    }
    const resync = this.#resume.sawFrame(payload);
    this.#messages.emit(payload);
    if (resync) this.#resyncs.emit(payload);
  }
}

/** Several streams over one WebSocket: `{"stream": …, "payload": …}` in both directions. */
export class Streams {
  readonly #socket: PlainSocket;
  readonly #streams = new Map<string, Stream>();
  readonly #errors = new Listeners<[error: StreamError]>();

  constructor(address: string, options: PlainSocketOptions = {}) {
    const { params = {} } = options;
    const withPositions = async (): Promise<Params> => ({ ...(await valueOf(params)), ...this.#positions() });
    this.#socket = new PlainSocket(address, { ...options, params: withPositions });
    this.#socket.onMessage((frame) => this.#received(frame));
  }

  /** The stream of that name, always the same one. */
  stream(name: string): Stream {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = new Stream(name, (payload) => this.#socket.send({ stream: name, payload }));
      this.#streams.set(name, stream);
    }
    return stream;
  }

  isConnected(): boolean {
    return this.#socket.isConnected();
  }

  connect(): void {
    this.#socket.connect();
  }

  disconnect(code = 1000, reason = ""): void {
    this.#socket.disconnect(code, reason);
  }

  onOpen(callback: () => void): () => void {
    return this.#socket.onOpen(callback);
  }

  onClose(callback: (closed: Closed, returns: boolean) => void): () => void {
    return this.#socket.onClose(callback);
  }

  /** What concerns no stream that is known here. */
  onError(callback: (error: StreamError) => void): () => void {
    return this.#errors.add(callback);
  }

  #received(frame: unknown): void {
    const name = isRecord(frame) ? frame["stream"] : undefined;
    const stream = typeof name === "string" ? this.#streams.get(name) : undefined;
    if (stream !== undefined && isRecord(frame)) stream.received(frame);
    else if (isRecord(frame) && isRecord(frame["error"])) {
      this.#errors.emit({ code: String(frame["error"]["code"]), reason: String(frame["error"]["reason"]) });
    }
  }

  /** Where each stream stands, as `last_seen_id.<stream>`. */
  #positions(): Params {
    const known = [...this.#streams.values()].filter((it) => it.lastSeenId !== null);
    return Object.fromEntries(known.map((it) => [`${LAST_SEEN_ID}.${it.name}`, it.lastSeenId]));
  }
}
