import type { Frame } from "./codec.js";

/** How a connection ended. */
export interface Closed {
  /** The code of the WebSocket protocol; 1006 if there was none. */
  code: number;
  reason: string;
  /** Whether the connection had been open. */
  opened: boolean;
}

/** One connection, from its first byte to its last. */
export interface Transport {
  /** Whether silence may mean that nobody is there any more. */
  readonly needsHeartbeat: boolean;
  /** What was given to `send` and has not left, in bytes. */
  readonly bufferedBytes: number;
  send(frame: Frame): void;
  /**
   * Ends it. Nothing is told of it from now on, not even that it has ended. Throws,
   * and does not end it, if the code or the reason may not be sent.
   */
  close(code: number, reason: string): void;
}

/** What a transport tells. */
export interface TransportEvents {
  opened(): void;
  frame(frame: Frame): void;
  /** It has ended by itself. It is told once, and nothing after it. */
  closed(code: number, reason: string): void;
}

/** A connection broke off, or never came to be. */
export const CODE_ABNORMAL = 1006;

/** What a server is told when it seems to be gone. */
export const CODE_SILENT = 4000;
