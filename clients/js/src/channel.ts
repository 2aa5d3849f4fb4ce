import type { Backoff } from "./backoff.js";
import type { ChannelHost } from "./channel-host.js";
import { Listeners } from "./listeners.js";
import { EVENT, replyIn, type Message, type Reply } from "./message.js";
import type { Params } from "./params.js";
import { Push } from "./push.js";
import { LAST_SEEN_ID, Resume } from "./resume.js";

/** How far a channel is. */
export type ChannelState = "closed" | "joining" | "joined" | "leaving" | "errored";

const UNMATCHED_TOPIC = "unmatched topic";

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
  /** What waits for the topic to be joined. */
  #waiting: { push: Push; payload: unknown }[] = [];
  #state: ChannelState = "closed";
  #joinedOnce = false;
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
   * message that was seen, and what was missed follows the answer.
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
   * is not sent. If too much waits, the answer is at once `error`.
   */
  push(event: string, payload: unknown = {}, timeoutMs = this.#timeoutMs): Push {
    if (!this.#joinedOnce) throw new Error(`${this.topic}: join it before pushing ${event}`);
    const push = new Push(event);
    push.begin(timeoutMs, () => this.#expired(push));
    if (this.#state === "joined" && this.#host.isOpen) this.#send(push, payload);
    else if (this.#state === "leaving" || this.#state === "closed") refuse(push, "the channel is closed");
    else if (this.#host.waiting.take()) this.#waiting.push({ push, payload });
    else refuse(push, `more than ${this.#host.waiting.max} messages wait for a connection`);
    return push;
  }

  /** Leaves. The channel is not used any more then; another one may join the topic. */
  leave(timeoutMs = this.#timeoutMs): Push {
    const push = new Push(EVENT.leave);
    const wasThere = this.#host.isOpen && (this.#state === "joined" || this.#state === "joining");
    clearTimeout(this.#rejoin);
    this.#join.cancel();
    this.#state = "leaving";
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
    if (this.#state === "closed" || (joinRef !== null && joinRef !== this.joinRef)) return;
    if (event === EVENT.reply) this.#answered(ref, joinRef, replyIn(payload));
    else if (event === EVENT.close) this.#close();
    else if (event === EVENT.error) this.#failed(payload);
    else {
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
    const params = typeof this.#params === "function" ? this.#params() : this.#params;
    const { lastSeenId } = this;
    const payload = lastSeenId === null ? params : { ...params, [LAST_SEEN_ID]: lastSeenId };
    this.#host.send({ joinRef: ref, ref, topic: this.topic, event: EVENT.join, payload });
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
    this.#backoff.reset();
    const resync = this.#resume.joined(response);
    this.#join.settle(status, response);
    if (resync) this.#resyncs.emit(response);
    const waiting = this.#takeWaiting();
    for (const { push, payload } of waiting) if (!push.isSettled) this.#send(push, payload);
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
    this.#retryJoin();
    this.#loseSent();
    this.#errors.emit(reason);
  }

  #close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#rejoin);
    this.#join.cancel();
    this.#host.forget(this);
    this.#loseSent();
    for (const { push } of this.#takeWaiting()) if (!push.isSettled) refuse(push, "the channel is closed");
    this.#closed.emit();
  }

  #send(push: Push, payload: unknown): void {
    const ref = this.#host.nextRef();
    push.ref = ref;
    this.#sent.set(ref, push);
    const sent = this.#host.send({ joinRef: this.joinRef, ref, topic: this.topic, event: push.event, payload });
    if (sent) return;
    this.#sent.delete(ref);
    refuse(push, "the connection takes no more for now");
  }

  #expired(push: Push): void {
    if (push.ref !== null) this.#sent.delete(push.ref);
    push.settle("timeout", {});
  }

  /** Nobody knows whether what was sent has arrived. */
  #loseSent(): void {
    const lost = [...this.#sent.values()];
    this.#sent.clear();
    for (const push of lost) push.settle("timeout", {});
  }

  #takeWaiting(): { push: Push; payload: unknown }[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#host.waiting.give(waiting.length);
    return waiting;
  }
}

function refuse(push: Push, reason: string): void {
  push.settle("error", { reason });
}
