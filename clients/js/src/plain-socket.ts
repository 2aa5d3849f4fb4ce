import { bytesOf, type Frame } from "./codec.js";
import { Connection, type ConnectionOptions } from "./connection.js";
import { Endpoint } from "./endpoint.js";
import { FrameQueue } from "./frame-queue.js";
import { Heartbeat, type HeartbeatOptions } from "./heartbeat.js";
import { Listeners } from "./listeners.js";
import { FrameError } from "./message.js";
import { valueOf, type Params, type Source } from "./params.js";
import { LAST_SEEN_ID, Resume } from "./resume.js";
import { CODE_SILENT, type Closed, type Transport, type TransportEvents } from "./transport.js";
import { WebSocketTransport, type WebSocketClass } from "./web-socket-transport.js";

/** What a plain socket may be told. */
export interface PlainSocketOptions extends ConnectionOptions {
  /** Sent with each connection, in its address; made anew for each if it is a function. */
  params?: Source<Params>;
  /** The subprotocols that are offered: `["bearer", token]`. */
  protocols?: Source<string[]>;
  /** How many frames may wait for a connection; default 1 000. More are refused. */
  waitingMax?: number;
  /** How much may wait for a connection, in characters and bytes; default 1 MiB. More is refused. */
  waitingSizeMax?: number;
  /**
   * A frame that the application answers with any other, sent after a silence. A
   * page cannot see the server's pings, so without it a dead connection is
   * noticed only by the browser. Default: none.
   */
  heartbeat?: HeartbeatOptions & { frame: unknown };
  /** The class of WebSockets; default: the global one. */
  WebSocket?: WebSocketClass;
}

/** A WebSocket that carries JSON, and comes back. */
export class PlainSocket {
  readonly #endpoint: Endpoint;
  readonly #options: PlainSocketOptions;
  readonly #connection: Connection;
  readonly #heartbeat: Heartbeat | null;
  readonly #resume = new Resume();
  readonly #messages = new Listeners<[message: any]>();
  readonly #opened = new Listeners<[]>();
  readonly #closed = new Listeners<[closed: Closed, returns: boolean]>();
  readonly #resyncs = new Listeners<[message: any]>();
  readonly #errors = new Listeners<[error: unknown]>();
  readonly #waiting: FrameQueue;

  constructor(address: string, options: PlainSocketOptions = {}) {
    this.#endpoint = new Endpoint(address);
    this.#options = options;
    this.#waiting = new FrameQueue(options.waitingMax ?? 1_000, options.waitingSizeMax ?? 1024 * 1024);
    this.#connection = new Connection((events) => this.#dial(events), this.#connectionEvents(), options);
    const { heartbeat } = options;
    this.#heartbeat =
      heartbeat === undefined
        ? null
        : new Heartbeat(
            heartbeat,
            () => void this.#connection.send(frameOf(heartbeat.frame)),
            () => this.#connection.drop(CODE_SILENT, "no sign of life"),
          );
  }

  /** The last message that was seen, if its group keeps a history. */
  get lastSeenId(): string | null {
    return this.#resume.lastSeenId;
  }

  isConnected(): boolean {
    return this.#connection.isOpen;
  }

  connect(): void {
    this.#connection.connect();
  }

  /** Ends the connection until the next `connect`; what waits is dropped. */
  disconnect(code = 1000, reason = ""): void {
    if (this.#connection.isIdle) return;
    const opened = this.#connection.isOpen;
    this.#connection.disconnect(code, reason);
    this.#ended({ code, reason, opened }, false);
  }

  /**
   * Sends a JSON value, or bytes. While there is no connection it waits. Says
   * `false` if it was refused: too much waits already, or `connect` was not called.
   * Throws a `TypeError` if it is neither.
   */
  send(message: unknown): boolean {
    const frame = frameOf(message);
    if (this.#connection.isOpen) return this.#connection.send(frame);
    return !this.#connection.isIdle && this.#waiting.add(frame);
  }

  /** A JSON value has come, or bytes as an `ArrayBuffer`. */
  onMessage(callback: (message: any) => void): () => void {
    return this.#messages.add(callback);
  }

  onOpen(callback: () => void): () => void {
    return this.#opened.add(callback);
  }

  /** The connection has ended, or could not be made; `returns` says whether it comes back by itself. */
  onClose(callback: (closed: Closed, returns: boolean) => void): () => void {
    return this.#closed.add(callback);
  }

  /** More was missed than the history holds: whoever keeps a state has to fetch it. */
  onResync(callback: (message: any) => void): () => void {
    return this.#resyncs.add(callback);
  }

  /** What came is not JSON. */
  onError(callback: (error: unknown) => void): () => void {
    return this.#errors.add(callback);
  }

  async #dial(events: TransportEvents): Promise<Transport> {
    const params = await valueOf(this.#options.params ?? {});
    const protocols = await valueOf(this.#options.protocols ?? []);
    const address = this.#endpoint.webSocket("", { ...params, [LAST_SEEN_ID]: this.lastSeenId ?? params[LAST_SEEN_ID] });
    return new WebSocketTransport(address, protocols, events, this.#options.WebSocket ?? globalThis.WebSocket);
  }

  #connectionEvents() {
    return {
      opened: () => {
        this.#heartbeat?.start();
        this.#connection.flush(this.#waiting.take());
        this.#opened.emit();
      },
      frame: (frame: Frame) => this.#received(frame),
      closed: (closed: Closed, returns: boolean) => this.#ended(closed, returns),
      woken: () => this.#heartbeat?.askNow(),
    };
  }

  #received(frame: Frame): void {
    this.#heartbeat?.heard();
    let message: unknown = frame;
    try {
      if (typeof frame === "string") message = JSON.parse(frame);
    } catch (cause) {
      this.#errors.emit(new FrameError("a text frame of a plain socket is JSON", { cause }));
      return;
    }
    const resync = this.#resume.sawFrame(message);
    this.#messages.emit(message);
    if (resync) this.#resyncs.emit(message);
  }

  #ended(closed: Closed, returns: boolean): void {
    this.#heartbeat?.stop();
    if (!returns) this.#waiting.take();
    this.#closed.emit(closed, returns);
  }
}

function frameOf(message: unknown): Frame {
  const bytes = bytesOf(message);
  if (bytes !== undefined) return bytes.slice().buffer as ArrayBuffer;
  const text = JSON.stringify(message) as string | undefined;
  if (text === undefined) throw new TypeError(`${String(message)}: expected a JSON value, or bytes`);
  return text;
}
