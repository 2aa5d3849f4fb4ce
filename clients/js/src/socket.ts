import { Backoff } from "./backoff.js";
import { encodeBase64Url } from "./base64.js";
import { Budget } from "./budget.js";
import { Channel } from "./channel.js";
import type { ChannelHost } from "./channel-host.js";
import { VERSION, decode, encode, type Frame } from "./codec.js";
import { Connection, STABLE_MS, type ConnectionOptions } from "./connection.js";
import { Endpoint } from "./endpoint.js";
import { Heartbeat } from "./heartbeat.js";
import { Listeners } from "./listeners.js";
import { LongPollTransport } from "./long-poll-transport.js";
import { CONNECTION_TOPIC, EVENT, type Message } from "./message.js";
import { valueOf, type Params, type Source } from "./params.js";
import { CODE_SILENT, type Closed, type Transport, type TransportEvents } from "./transport.js";
import { TransportChoice, type TransportName, type TransportPolicy } from "./transport-choice.js";
import { WebSocketTransport, type WebSocketClass } from "./web-socket-transport.js";

/** What a socket may be told. */
export interface SocketOptions extends ConnectionOptions {
  /** Sent with each connection, in its address; made anew for each if it is a function. */
  params?: Source<Params>;
  /** Who connects; not sent in the address. */
  authToken?: Source<string>;
  /** `auto`, the default: WebSockets, and long-poll where they do not get through. */
  transport?: TransportPolicy;
  /** How long an answer may take, in milliseconds; default 10 000. */
  timeoutMs?: number;
  /** How often a sign of life is asked for, in milliseconds; default 30 000. */
  heartbeatMs?: number;
  /** How long it may take, in milliseconds; default 10 000. */
  heartbeatTimeoutMs?: number;
  /** How many pushes may wait for a connection and a join, over all channels; default 1 000. */
  waitingMax?: number;
  /** The longest first wait before a topic is joined again, in milliseconds; default 1 000. */
  rejoinBaseMs?: number;
  /** The longest wait, in milliseconds; default 30 000. */
  rejoinMaxMs?: number;
  /** The longest time for one request of a long-poll, in milliseconds; default 30 000. */
  requestTimeoutMs?: number;
  /** The class of WebSockets; default: the global one. */
  WebSocket?: WebSocketClass;
}

/** A connection that carries any number of topics, and comes back. */
export class Socket {
  readonly #endpoint: Endpoint;
  readonly #options: SocketOptions;
  readonly #connection: Connection;
  readonly #heartbeat: Heartbeat;
  readonly #choice: TransportChoice;
  readonly #host: ChannelHost;
  readonly #opened = new Listeners<[]>();
  readonly #closed = new Listeners<[closed: Closed, returns: boolean]>();
  readonly #errors = new Listeners<[error: unknown]>();
  #channels: Channel[] = [];
  #ref = 0;
  /** Whether anything has come over the present connection. */
  #heard = false;

  /** `address` is where the server has the socket: `/socket`, `wss://example.org/socket`. */
  constructor(address: string, options: SocketOptions = {}) {
    this.#endpoint = new Endpoint(address);
    this.#options = options;
    this.#choice = new TransportChoice(options.transport ?? "auto");
    this.#connection = new Connection((events) => this.#dial(events), this.#connectionEvents(), options);
    this.#heartbeat = new Heartbeat(
      { intervalMs: options.heartbeatMs, timeoutMs: options.heartbeatTimeoutMs },
      () => this.#ask(),
      () => this.#connection.drop(CODE_SILENT, "no sign of life"),
    );
    this.#host = this.#channelHost();
  }

  /** The way that is used, or tried next. */
  get transport(): TransportName {
    return this.#choice.next;
  }

  isConnected(): boolean {
    return this.#connection.isOpen;
  }

  /** Connects, and joins the channels that were joined before. */
  connect(): void {
    this.#connection.connect();
  }

  /** Ends the connection until the next `connect`. */
  disconnect(code = 1000, reason = ""): void {
    if (this.#connection.isIdle) return;
    const opened = this.#connection.isOpen;
    this.#connection.disconnect(code, reason);
    this.#ended({ code, reason, opened }, false);
  }

  /** A channel for a topic; its `params` are sent with each join. */
  channel(topic: string, params: Params | (() => Params) = {}): Channel {
    return new Channel(topic, params, this.#host);
  }

  onOpen(callback: () => void): () => void {
    return this.#opened.add(callback);
  }

  /** The connection has ended, or could not be made; `returns` says whether it comes back by itself. */
  onClose(callback: (closed: Closed, returns: boolean) => void): () => void {
    return this.#closed.add(callback);
  }

  /** The server said what could not be understood. */
  onError(callback: (error: unknown) => void): () => void {
    return this.#errors.add(callback);
  }

  async #dial(events: TransportEvents): Promise<Transport> {
    const params = { ...(await valueOf(this.#options.params ?? {})), vsn: VERSION };
    const authToken = await valueOf(this.#options.authToken);
    if (this.#choice.next === "longpoll") {
      const address = this.#endpoint.http("/longpoll", params);
      const requestTimeoutMs = this.#options.requestTimeoutMs ?? 30_000;
      return new LongPollTransport({ address, authToken, requestTimeoutMs }, events);
    }
    const address = this.#endpoint.webSocket("/websocket", params);
    const protocols =
      authToken === undefined ? [] : ["phoenix", `base64url.bearer.phx.${encodeBase64Url(authToken)}`];
    return new WebSocketTransport(address, protocols, events, this.#options.WebSocket ?? globalThis.WebSocket);
  }

  #connectionEvents() {
    return {
      opened: () => this.#openedNow(),
      frame: (frame: Frame) => this.#received(frame),
      closed: (closed: Closed, returns: boolean) => this.#ended(closed, returns),
      woken: () => {
        if (this.#connection.needsHeartbeat) this.#heartbeat.askNow();
      },
    };
  }

  #channelHost(): ChannelHost {
    const connection = this.#connection;
    const { timeoutMs = 10_000, waitingMax = 1_000, rejoinBaseMs = 1_000, rejoinMaxMs = 30_000 } = this.#options;
    const { stableMs = STABLE_MS } = this.#options;
    return {
      get isOpen() {
        return connection.isOpen;
      },
      timeoutMs,
      stableMs,
      waiting: new Budget(waitingMax),
      nextRef: () => this.#nextRef(),
      rejoinBackoff: () => new Backoff({ baseMs: rejoinBaseMs, maxMs: rejoinMaxMs }),
      send: (message) => connection.send(encode(message)),
      takeTopic: (channel) => this.#takeTopic(channel),
      forget: (channel) => {
        this.#channels = this.#channels.filter((it) => it !== channel);
      },
    };
  }

  #openedNow(): void {
    if (this.#choice.isUnproven) this.#heartbeat.askNow(this.#options.openTimeoutMs);
    else if (this.#connection.needsHeartbeat) this.#heartbeat.start();
    for (const channel of this.#channels) channel.connected();
    this.#opened.emit();
  }

  #received(frame: Frame): void {
    this.#heard = true;
    this.#choice.worked();
    this.#heartbeat.heard();
    let message: Message;
    try {
      message = decode(frame);
    } catch (error) {
      this.#errors.emit(error);
      return;
    }
    for (const channel of this.#channels) if (channel.topic === message.topic) channel.received(message);
  }

  #ended(closed: Closed, returns: boolean): void {
    this.#heartbeat.stop();
    if (this.#heard) this.#choice.ended();
    else if (returns) this.#choice.failed();
    this.#heard = false;
    for (const channel of this.#channels) channel.disconnected();
    // One of the callbacks may have ended it for good.
    this.#closed.emit(closed, returns && !this.#connection.isIdle);
  }

  #takeTopic(channel: Channel): void {
    for (const other of this.#channels) {
      if (other !== channel && other.topic === channel.topic) other.leave();
    }
    if (!this.#channels.includes(channel)) this.#channels = [...this.#channels, channel];
  }

  #ask(): void {
    const ref = this.#nextRef();
    const message = { joinRef: null, ref, topic: CONNECTION_TOPIC, event: EVENT.heartbeat, payload: {} };
    this.#connection.send(encode(message));
  }

  #nextRef(): string {
    this.#ref += 1;
    return String(this.#ref);
  }
}
