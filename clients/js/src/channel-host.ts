import type { Backoff } from "./backoff.js";
import type { Budget } from "./budget.js";
import type { Channel } from "./channel.js";
import type { Message } from "./message.js";

/** What a channel needs of its socket. */
export interface ChannelHost {
  readonly isOpen: boolean;
  /** How long an answer may take, in milliseconds. */
  readonly timeoutMs: number;
  /** So long a topic has to be joined to count as a success, in milliseconds. */
  readonly stableMs: number;
  /** What may wait until its topic is joined, over all channels. */
  readonly waiting: Budget;
  nextRef(): string;
  rejoinBackoff(): Backoff;
  /** Sends, or says that it cannot. */
  send(message: Message): boolean;
  /** The channel is about to join: any other one of its topic leaves. */
  takeTopic(channel: Channel): void;
  /** The channel has closed. */
  forget(channel: Channel): void;
}
