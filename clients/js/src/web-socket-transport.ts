import type { Frame } from "./codec.js";
import type { Transport, TransportEvents } from "./transport.js";

/** A class of WebSockets, for where there is none or another one is wanted. */
export type WebSocketClass = new (address: string, protocols?: string[]) => WebSocket;

/** A WebSocket. */
export class WebSocketTransport implements Transport {
  readonly needsHeartbeat = true;
  readonly #socket: WebSocket;
  #events: TransportEvents | null;

  constructor(address: string, protocols: string[], events: TransportEvents, Class: WebSocketClass) {
    this.#events = events;
    this.#socket = protocols.length === 0 ? new Class(address) : new Class(address, protocols);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.#events?.opened();
    this.#socket.onmessage = ({ data }) => this.#events?.frame(data as Frame);
    this.#socket.onclose = ({ code, reason }) => this.#end()?.closed(code, reason);
    // What is wrong is not told to pages; a close follows.
    this.#socket.onerror = () => {};
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(frame: Frame): void {
    this.#socket.send(frame);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
    this.#end();
  }

  #end(): TransportEvents | null {
    const events = this.#events;
    this.#events = null;
    return events;
  }
}
