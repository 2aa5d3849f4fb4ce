import type { Backoff } from "./backoff.js";
import type { ChannelHost } from "./channel-host.js";
import { Listeners } from "./listeners.js";
import { EVENT, replyIn, type Message, type Reply } from "./message.js";
import type { Params } from "./params.js";
import { Push } from "./push.js";
import { LAST_SEEN_ID, Resume } from "./resume.js";
import { WaitingPushes } from "./waiting-pushes.js";

/** How far a channel is. */
export type ChannelState = "closed" | "joining" | "joined" | "leaving" | "errored";

const UNMATCHED_TOPIC = "unmatched topic";
const CLOSED = "the channel is closed";

/**
 * A topic that is joined, or will be again as soon as it can. After a lost
 * connection, a crash on the server or a join that failed it joins again by
 * itself, until it leaves or the server closes it.
 */
export class Channel {
  readonly #host: ChannelHost;
  readonly #params: Params | (() => Params);
  readonly #backoff: Backoff;
  readonly #join = new Push(EVENT.join);
  readonly #resume = new Resume();
  readonly #listeners = new Map<string, Listeners<[payload: any]>>();
  readonly #closed = new Listeners<[]>();
  readonly #errors = new Listeners<[reason: unknown]>();
  readonly #resyncs = new Listeners<[response: unknown]>();
  /** What was sent and is not answered, by its reference. */
  readonly #sent = new Map<string, Push>();
  readonly #waiting: WaitingPushes;
  #leave: Push | null = null;
  #state: ChannelState = "closed";
  #joinedOnce = false;
  #joinedAtMs = 0;
  #timeoutMs: number;
  #rejoin: ReturnType<typeof setTimeout> | undefined;

  /** @internal */
  constructor(
    readonly topic: string,
    params: Params | (() => Params),
    host: ChannelHost,
  ) {
    this.#params = params;
    this.#host = host;
    this.#waiting = new WaitingPushes(host.waiting);
    this.#timeoutMs = host.timeoutMs;
    this.#backoff = host.rejoinBackoff();
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** What the present join is known by. */
  get joinRef(): string | null {
    return this.#join.ref;
  }

  /** The last message that was seen of the topic's history, if it keeps one. */
  get lastSeenId(): string | null {
    return this.#resume.lastSeenId;
  }

  /**
   * Joins. The params are sent along with each join and are made anew for each
   * if they are a function; if the topic keeps a history they name the last
   * message that was seen, and what was missed follows the answer. If the channel
   * ends before there is an answer, that is `error`.
   */
  join(timeoutMs = this.#timeoutMs): Push {
    if (this.#joinedOnce) throw new Error(`${this.topic}: a channel is joined once; it joins again by itself`);
    this.#joinedOnce = true;
    this.#timeoutMs = timeoutMs;
    this.#sendJoin();
    return this.#join;
  }

  /**
   * Says something to the topic: a JSON value, or bytes (`ArrayBuffer`, `Uint8Array`…).
   * Until the topic is joined it waits; what waits for longer than its timeout
   * is not sent. If too much waits, or the payload cannot be written as a frame,
   * the answer is at once `error`.
   */
  push(event: string, payload: unknown = {}, timeoutMs = this.#timeoutMs): Push {
    if (!this.#joinedOnce) throw new Error(`${this.topic}: join it before pushing ${event}`);
    const push = new Push(event);
    push.begin(timeoutMs, () => this.#expired(push));
    if (this.#state === "joined" && this.#host.isOpen) this.#send(push, payload);
    else if (this.#state === "leaving" || this.#state === "closed") refuse(push, CLOSED);
    else if (!this.#waiting.add(push, payload)) {
      refuse(push, `more than ${this.#host.waiting.max} messages wait for a connection`);
    }
    return push;
  }

  /** Leaves. The channel is not used any more then; another one may join the topic. */
  leave(timeoutMs = this.#timeoutMs): Push {
    if (this.#leave !== null) return this.#leave;
    const push = new Push(EVENT.leave);
    if (this.#state === "closed") {
      push.settle("ok", {});
      return push;
    }
    this.#leave = push;
    const wasThere = this.#host.isOpen && (this.#state === "joined" || this.#state === "joining");
    clearTimeout(this.#rejoin);
    this.#state = "leaving";
    this.#endJoin();
    for (const status of ["ok", "error", "timeout"]) push.receive(status, () => this.#close());
    push.begin(timeoutMs, () => this.#expired(push));
    if (wasThere) this.#send(push, {});
    else push.settle("ok", {});
    return push;
  }

  /** Calls back with the payload of each message of this event. What is returned stops that. */
  on(event: string, callback: (payload: any) => void): () => void {
    let listeners = this.#listeners.get(event);
    if (listeners === undefined) {
      listeners = new Listeners();
      this.#listeners.set(event, listeners);
    }
    return listeners.add(callback);
  }

  /** Stops that for one callback, or for all of the event. */
  off(event: string, callback?: (payload: any) => void): void {
    if (callback === undefined) this.#listeners.delete(event);
    else this.#listeners.get(event)?.remove(callback);
  }

  /** The channel is closed: it has left, or the server has ended it. It does not come back. */
  onClose(callback: () => void): () => void {
    return this.#closed.add(callback);
  }

  /** The topic is not joined any more, but will be: a crash on the server, or a lost connection. */
  onError(callback: (reason: unknown) => void): () => void {
    return this.#errors.add(callback);
  }

  /** More was missed than the topic's history holds: whoever keeps a state has to fetch it. */
  onResync(callback: (response: any) => void): () => void {
    return this.#resyncs.add(callback);
  }

  /** @internal A message of the topic has come. */
  received(message: Message): void {
    const { joinRef, ref, event, payload } = message;
    if (this.#state === "closed" || this.#state === "errored") return;
    if (joinRef !== null && joinRef !== this.joinRef) return;
    if (event === EVENT.reply) this.#answered(ref, joinRef, replyIn(payload));
    else if (event === EVENT.close) this.#close();
    else if (event === EVENT.error) this.#failed(payload);
    // What is said to all before this join is answered was meant for an earlier
    // one; if it counted as seen, the answer would skip what came before it.
    else if (this.#state !== "joining" || joinRef !== null) {
      this.#resume.saw(payload);
      this.#listeners.get(event)?.emit(payload);
    }
  }

  /** @internal The connection is open. */
  connected(): void {
    if (this.#state === "errored" || this.#state === "joining") this.#sendJoin();
  }

  /** @internal The connection is gone. */
  disconnected(): void {
    if (this.#state === "leaving") this.#close();
    else if (this.#state === "joined" || this.#state === "joining") this.#failed({ reason: "connection lost" });
  }

  #sendJoin(): void {
    clearTimeout(this.#rejoin);
    this.#host.takeTopic(this);
    this.#state = "joining";
    this.#join.begin(this.#timeoutMs, () => this.#joinExpired());
    // Without a connection `connected` sends it.
    if (!this.#host.isOpen) return;
    const ref = this.#host.nextRef();
    this.#join.ref = ref;
    try {
      this.#host.send({ joinRef: ref, ref, topic: this.topic, event: EVENT.join, payload: this.#joinPayload() });
    } catch (error) {
      this.#joinAnswered({ status: "error", response: { reason: String(error) } });
    }
  }

  #joinPayload(): Params {
    const params = typeof this.#params === "function" ? this.#params() : this.#params;
    const { lastSeenId } = this;
    return lastSeenId === null ? params : { ...params, [LAST_SEEN_ID]: lastSeenId };
  }

  #joinExpired(): void {
    if (this.#state === "joining") {
      const ref = this.#host.nextRef();
      if (this.joinRef !== null) {
        this.#host.send({ joinRef: this.joinRef, ref, topic: this.topic, event: EVENT.leave, payload: {} });
      }
      this.#retryJoin();
    }
    this.#join.settle("timeout", {});
  }

  #answered(ref: string | null, joinRef: string | null, reply: Reply): void {
    if (ref === null) return;
    if (ref === this.#join.ref && this.#state === "joining") {
      this.#joinAnswered(reply);
      return;
    }
    const push = this.#sent.get(ref);
    this.#sent.delete(ref);
    push?.settle(reply.status, reply.response);
    const { reason } = (reply.response ?? {}) as { reason?: unknown };
    // The server knows nothing of a topic that is joined here.
    const isUnknown = push !== undefined && joinRef === null && reason === UNMATCHED_TOPIC;
    if (isUnknown && this.#state === "joined") this.#failed(reply.response);
  }

  #joinAnswered({ status, response }: Reply): void {
    if (status !== "ok") {
      this.#retryJoin();
      this.#join.settle(status, response);
      return;
    }
    this.#state = "joined";
    this.#joinedAtMs = Date.now();
    const resync = this.#resume.joined(response);
    // Before the callbacks push something, which came later.
    this.#sendWaiting();
    if (this.#state !== "joined") return;
    this.#join.settle(status, response);
    if (resync) this.#resyncs.emit(response);
  }

  /** Sends what waits, unless the channel ends on the way. */
  #sendWaiting(): void {
    for (const { push, payload } of this.#waiting.take()) {
      if (this.#state === "joined") this.#send(push, payload);
      else refuse(push, CLOSED);
    }
  }

  #retryJoin(): void {
    this.#state = "errored";
    // What the server still says to that join, its end above all, is not meant for the next.
    this.#join.ref = null;
    clearTimeout(this.#rejoin);
    this.#rejoin = setTimeout(() => {
      if (this.#host.isOpen) this.#sendJoin();
    }, this.#backoff.next());
  }

  #failed(reason: unknown): void {
    if (this.#state === "leaving") {
      this.#close();
      return;
    }
    // A topic that crashes as soon as it is joined is not joined at once again and again.
    const held = this.#state === "joined" && Date.now() - this.#joinedAtMs >= this.#host.stableMs;
    if (held) this.#backoff.reset();
    this.#retryJoin();
    this.#loseSent();
    this.#errors.emit(reason);
  }

  #close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#rejoin);
    this.#host.forget(this);
    this.#endJoin();
    this.#loseSent();
    for (const { push } of this.#waiting.take()) refuse(push, CLOSED);
    this.#closed.emit();
  }

  /** Nobody waits any longer for the join's answer. */
  #endJoin(): void {
    if (!this.#join.isSettled) refuse(this.#join, CLOSED);
  }

  #send(push: Push, payload: unknown): void {
    const ref = this.#host.nextRef();
    push.ref = ref;
    this.#sent.set(ref, push);
    let reason = "the connection takes no more for now";
    try {
      if (this.#host.send({ joinRef: this.joinRef, ref, topic: this.topic, event: push.event, payload })) return;
    } catch (error) {
      reason = String(error);
    }
    this.#sent.delete(ref);
    refuse(push, reason);
  }

  #expired(push: Push): void {
    if (push.ref === null) this.#waiting.remove(push);
    else this.#sent.delete(push.ref);
    push.settle("timeout", {});
  }

  /** Nobody knows whether what was sent has arrived. */
  #loseSent(): void {
    const lost = [...this.#sent.values()];
    this.#sent.clear();
    for (const push of lost) push.settle("timeout", {});
  }
}

function refuse(push: Push, reason: string): void {
  push.settle("error", { reason });
}
