// Made from clients/js/src by `npm run build` there; changes are made there.

/** Those who want to hear of one kind of event, in the order in which they came. */
class Listeners {
    #all = [];
    /** Adds one. What is returned takes it away again. */
    add(listener) {
        this.#all = [...this.#all, listener];
        return () => this.remove(listener);
    }
    /** Takes one away, if it is there. */
    remove(listener) {
        this.#all = this.#all.filter((it) => it !== listener);
    }
    /** Tells everybody who was there when it began. */
    emit(...parts) {
        for (const listener of this.#all)
            shielded(() => listener(...parts));
    }
}
/**
 * Calls what belongs to the application. What it throws is reported as an
 * uncaught error and does not stop this library half way through its work.
 */
function shielded(call) {
    try {
        call();
    }
    catch (error) {
        queueMicrotask(() => {
            throw error;
        });
    }
}

/** The events that belong to the protocol. */
const EVENT = {
    join: "phx_join",
    leave: "phx_leave",
    reply: "phx_reply",
    error: "phx_error",
    close: "phx_close",
    heartbeat: "heartbeat",
};
/** The topic of the connection itself. */
const CONNECTION_TOPIC = "phoenix";
/** Whether `value` is a JSON object. */
function isRecord(value) {
    return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ArrayBuffer);
}
/** The payload of a `phx_reply` as what it should be. */
function replyIn(payload) {
    if (!isRecord(payload))
        return { status: "error", response: payload };
    const { status, response } = payload;
    return { status: typeof status === "string" ? status : "error", response };
}
/** A frame of the server that is not of the protocol. */
class FrameError extends Error {
    name = "FrameError";
}

/** Why the answer to a push was not `ok`. */
class PushError extends Error {
    event;
    status;
    response;
    name = "PushError";
    constructor(
    /** What was pushed. */
    event, 
    /** `error`, `timeout`, or a word of the application's. */
    status, response) {
        super(`${event} was answered with ${status}: ${JSON.stringify(response)}`);
        this.event = event;
        this.status = status;
        this.response = response;
    }
}
/** Something that was said to a topic, and the answer to it. */
class Push {
    event;
    #hooks = [];
    #settled = [];
    #reply = null;
    #timer;
    /** @internal What the answer is known by; `null` until it is sent. */
    ref = null;
    /** @internal */
    constructor(
    /** What is said. */
    event) {
        this.event = event;
    }
    /** @internal Whether it was answered, one way or the other. */
    get isSettled() {
        return this.#reply !== null;
    }
    /**
     * Calls back with the response if the answer is `status`: `ok`, `error`, or a word
     * of the application's; `timeout` if there is none in time, or the connection
     * broke before there was, so that nobody knows whether it arrived. The
     * answers to a join come again with every join after a reconnect.
     */
    receive(status, callback) {
        const reply = this.#reply;
        if (reply?.status === status)
            shielded(() => callback(reply.response));
        this.#hooks.push({ status, call: callback });
        return this;
    }
    /** The response to the first answer. Anything but `ok` throws a `PushError`. */
    reply() {
        return new Promise((resolve, reject) => {
            const settle = ({ status, response }) => {
                if (status === "ok")
                    resolve(response);
                else
                    reject(new PushError(this.event, status, response));
            };
            if (this.#reply === null)
                this.#settled.push(settle);
            else
                settle(this.#reply);
        });
    }
    /** @internal Waits from now on for an answer, and calls `expired` if none comes. */
    begin(timeoutMs, expired) {
        this.cancel();
        this.#reply = null;
        this.#timer = setTimeout(expired, timeoutMs);
    }
    /** @internal Waits no longer, and does not say so. */
    cancel() {
        clearTimeout(this.#timer);
    }
    /** @internal The answer is there. */
    settle(status, response) {
        this.cancel();
        const reply = { status, response };
        this.#reply = reply;
        for (const settle of this.#settled.splice(0))
            settle(reply);
        for (const hook of this.#hooks.slice())
            if (hook.status === status)
                shielded(() => hook.call(response));
    }
}

/** The name under which a position goes in both directions. */
const LAST_SEEN_ID = "last_seen_id";
/**
 * The last message that was seen of a topic or group that keeps a history. What
 * stands in it is the server's business.
 */
class Resume {
    #lastSeenId = null;
    get lastSeenId() {
        return this.#lastSeenId;
    }
    /** A message has come. */
    saw(payload) {
        const id = idIn(payload);
        if (id !== null)
            this.#lastSeenId = id;
    }
    /**
     * A join was answered; says whether more is missing than the history holds.
     * What was missed follows the answer, so the answer's position counts only
     * where there was none, or where the old one is of no use any more.
     */
    joined(response) {
        const resync = isRecord(response) && response["resync"] === true;
        if (resync || this.#lastSeenId === null)
            this.saw(response);
        return resync;
    }
    /** A frame of a plain socket or a stream has come; says what `joined` says. */
    sawFrame(frame) {
        if (!isRecord(frame))
            return false;
        const { event, ref, payload } = frame;
        // The join is not sent, so its answer answers nothing.
        if (event === EVENT.reply && ref === null)
            return this.joined(replyIn(payload).response);
        this.saw(payload);
        this.saw(frame);
        return false;
    }
}
function idIn(value) {
    const id = isRecord(value) ? value[LAST_SEEN_ID] : undefined;
    return typeof id === "string" ? id : null;
}

/** The pushes of one channel that wait for its topic to be joined. The channels of a socket share a budget. */
class WaitingPushes {
    #budget;
    #all = [];
    constructor(budget) {
        this.#budget = budget;
    }
    /** Adds one, or says that there is no room for it. */
    add(push, payload) {
        if (!this.#budget.take())
            return false;
        this.#all.push({ push, payload });
        return true;
    }
    /** Takes one out, if it is there. */
    remove(push) {
        const at = this.#all.findIndex((it) => it.push === push);
        if (at < 0)
            return;
        this.#all.splice(at, 1);
        this.#budget.give(1);
    }
    /** Takes all out, oldest first. */
    take() {
        const all = this.#all;
        this.#all = [];
        this.#budget.give(all.length);
        return all;
    }
}

const UNMATCHED_TOPIC = "unmatched topic";
const CLOSED = "the channel is closed";
/**
 * A topic that is joined, or will be again as soon as it can. After a lost
 * connection, a crash on the server or a join that failed it joins again by
 * itself, until it leaves or the server closes it.
 */
class Channel {
    topic;
    #host;
    #params;
    #backoff;
    #join = new Push(EVENT.join);
    #resume = new Resume();
    #listeners = new Map();
    #closed = new Listeners();
    #errors = new Listeners();
    #resyncs = new Listeners();
    /** What was sent and is not answered, by its reference. */
    #sent = new Map();
    #waiting;
    #leave = null;
    #state = "closed";
    #joinedOnce = false;
    #joinedAtMs = 0;
    #timeoutMs;
    #rejoin;
    /** @internal */
    constructor(topic, params, host) {
        this.topic = topic;
        this.#params = params;
        this.#host = host;
        this.#waiting = new WaitingPushes(host.waiting);
        this.#timeoutMs = host.timeoutMs;
        this.#backoff = host.rejoinBackoff();
    }
    get state() {
        return this.#state;
    }
    /** What the present join is known by. */
    get joinRef() {
        return this.#join.ref;
    }
    /** The last message that was seen of the topic's history, if it keeps one. */
    get lastSeenId() {
        return this.#resume.lastSeenId;
    }
    /**
     * Joins. The params are sent along with each join and are made anew for each
     * if they are a function; if the topic keeps a history they name the last
     * message that was seen, and what was missed follows the answer. If the channel
     * ends before there is an answer, that is `error`.
     */
    join(timeoutMs = this.#timeoutMs) {
        if (this.#joinedOnce)
            throw new Error(`${this.topic}: a channel is joined once; it joins again by itself`);
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
    push(event, payload = {}, timeoutMs = this.#timeoutMs) {
        if (!this.#joinedOnce)
            throw new Error(`${this.topic}: join it before pushing ${event}`);
        const push = new Push(event);
        push.begin(timeoutMs, () => this.#expired(push));
        if (this.#state === "joined" && this.#host.isOpen)
            this.#send(push, payload);
        else if (this.#state === "leaving" || this.#state === "closed")
            refuse(push, CLOSED);
        else if (!this.#waiting.add(push, payload)) {
            refuse(push, `more than ${this.#host.waiting.max} messages wait for a connection`);
        }
        return push;
    }
    /** Leaves. The channel is not used any more then; another one may join the topic. */
    leave(timeoutMs = this.#timeoutMs) {
        if (this.#leave !== null)
            return this.#leave;
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
        for (const status of ["ok", "error", "timeout"])
            push.receive(status, () => this.#close());
        push.begin(timeoutMs, () => this.#expired(push));
        if (wasThere)
            this.#send(push, {});
        else
            push.settle("ok", {});
        return push;
    }
    /** Calls back with the payload of each message of this event. What is returned stops that. */
    on(event, callback) {
        let listeners = this.#listeners.get(event);
        if (listeners === undefined) {
            listeners = new Listeners();
            this.#listeners.set(event, listeners);
        }
        return listeners.add(callback);
    }
    /** Stops that for one callback, or for all of the event. */
    off(event, callback) {
        if (callback === undefined)
            this.#listeners.delete(event);
        else
            this.#listeners.get(event)?.remove(callback);
    }
    /** The channel is closed: it has left, or the server has ended it. It does not come back. */
    onClose(callback) {
        return this.#closed.add(callback);
    }
    /** The topic is not joined any more, but will be: a crash on the server, or a lost connection. */
    onError(callback) {
        return this.#errors.add(callback);
    }
    /** More was missed than the topic's history holds: whoever keeps a state has to fetch it. */
    onResync(callback) {
        return this.#resyncs.add(callback);
    }
    /** @internal A message of the topic has come. */
    received(message) {
        const { joinRef, ref, event, payload } = message;
        if (this.#state === "closed" || this.#state === "errored")
            return;
        if (joinRef !== null && joinRef !== this.joinRef)
            return;
        if (event === EVENT.reply)
            this.#answered(ref, joinRef, replyIn(payload));
        else if (event === EVENT.close)
            this.#close();
        else if (event === EVENT.error)
            this.#failed(payload);
        // What is said to all before this join is answered was meant for an earlier
        // one; if it counted as seen, the answer would skip what came before it.
        else if (this.#state !== "joining" || joinRef !== null) {
            this.#resume.saw(payload);
            this.#listeners.get(event)?.emit(payload);
        }
    }
    /** @internal The connection is open. */
    connected() {
        if (this.#state === "errored" || this.#state === "joining")
            this.#sendJoin();
    }
    /** @internal The connection is gone. */
    disconnected() {
        if (this.#state === "leaving")
            this.#close();
        else if (this.#state === "joined" || this.#state === "joining")
            this.#failed({ reason: "connection lost" });
    }
    #sendJoin() {
        clearTimeout(this.#rejoin);
        this.#host.takeTopic(this);
        this.#state = "joining";
        this.#join.begin(this.#timeoutMs, () => this.#joinExpired());
        // Without a connection `connected` sends it.
        if (!this.#host.isOpen)
            return;
        const ref = this.#host.nextRef();
        this.#join.ref = ref;
        try {
            this.#host.send({ joinRef: ref, ref, topic: this.topic, event: EVENT.join, payload: this.#joinPayload() });
        }
        catch (error) {
            this.#joinAnswered({ status: "error", response: { reason: String(error) } });
        }
    }
    #joinPayload() {
        const params = typeof this.#params === "function" ? this.#params() : this.#params;
        const { lastSeenId } = this;
        return lastSeenId === null ? params : { ...params, [LAST_SEEN_ID]: lastSeenId };
    }
    #joinExpired() {
        if (this.#state === "joining") {
            const ref = this.#host.nextRef();
            if (this.joinRef !== null) {
                this.#host.send({ joinRef: this.joinRef, ref, topic: this.topic, event: EVENT.leave, payload: {} });
            }
            this.#retryJoin();
        }
        this.#join.settle("timeout", {});
    }
    #answered(ref, joinRef, reply) {
        if (ref === null)
            return;
        if (ref === this.#join.ref && this.#state === "joining") {
            this.#joinAnswered(reply);
            return;
        }
        const push = this.#sent.get(ref);
        this.#sent.delete(ref);
        push?.settle(reply.status, reply.response);
        const { reason } = (reply.response ?? {});
        // The server knows nothing of a topic that is joined here.
        const isUnknown = push !== undefined && joinRef === null && reason === UNMATCHED_TOPIC;
        if (isUnknown && this.#state === "joined")
            this.#failed(reply.response);
    }
    #joinAnswered({ status, response }) {
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
        if (this.#state !== "joined")
            return;
        this.#join.settle(status, response);
        if (resync)
            this.#resyncs.emit(response);
    }
    /** Sends what waits, unless the channel ends on the way. */
    #sendWaiting() {
        for (const { push, payload } of this.#waiting.take()) {
            if (this.#state === "joined")
                this.#send(push, payload);
            else
                refuse(push, CLOSED);
        }
    }
    #retryJoin() {
        this.#state = "errored";
        // What the server still says to that join, its end above all, is not meant for the next.
        this.#join.ref = null;
        clearTimeout(this.#rejoin);
        this.#rejoin = setTimeout(() => {
            if (this.#host.isOpen)
                this.#sendJoin();
        }, this.#backoff.next());
    }
    #failed(reason) {
        if (this.#state === "leaving") {
            this.#close();
            return;
        }
        // A topic that crashes as soon as it is joined is not joined at once again and again.
        const held = this.#state === "joined" && Date.now() - this.#joinedAtMs >= this.#host.stableMs;
        if (held)
            this.#backoff.reset();
        this.#retryJoin();
        this.#loseSent();
        this.#errors.emit(reason);
    }
    #close() {
        if (this.#state === "closed")
            return;
        this.#state = "closed";
        clearTimeout(this.#rejoin);
        this.#host.forget(this);
        this.#endJoin();
        this.#loseSent();
        for (const { push } of this.#waiting.take())
            refuse(push, CLOSED);
        this.#closed.emit();
    }
    /** Nobody waits any longer for the join's answer. */
    #endJoin() {
        if (!this.#join.isSettled)
            refuse(this.#join, CLOSED);
    }
    #send(push, payload) {
        const ref = this.#host.nextRef();
        push.ref = ref;
        this.#sent.set(ref, push);
        let reason = "the connection takes no more for now";
        try {
            if (this.#host.send({ joinRef: this.joinRef, ref, topic: this.topic, event: push.event, payload }))
                return;
        }
        catch (error) {
            reason = String(error);
        }
        this.#sent.delete(ref);
        refuse(push, reason);
    }
    #expired(push) {
        if (push.ref === null)
            this.#waiting.remove(push);
        else
            this.#sent.delete(push.ref);
        push.settle("timeout", {});
    }
    /** Nobody knows whether what was sent has arrived. */
    #loseSent() {
        const lost = [...this.#sent.values()];
        this.#sent.clear();
        for (const push of lost)
            push.settle("timeout", {});
    }
}
function refuse(push, reason) {
    push.settle("error", { reason });
}

const KIND = { push: 0, reply: 1, broadcast: 2 };
const PART_BYTES_MAX = 255;
/** A message with bytes, in the layout of a client: kind, four lengths, four strings, the bytes. */
function encodeBinary(message, payload) {
    const { joinRef, ref, topic, event } = message;
    const parts = [joinRef ?? "", ref ?? "", topic, event].map(part);
    const header = 1 + parts.length;
    const length = parts.reduce((sum, it) => sum + it.length, header + payload.length);
    const frame = new Uint8Array(length);
    frame.set([KIND.push, ...parts.map((it) => it.length)]);
    let at = header;
    for (const bytes of [...parts, payload]) {
        frame.set(bytes, at);
        at += bytes.length;
    }
    return frame.buffer;
}
function part(text) {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > PART_BYTES_MAX) {
        throw new RangeError(`${text.slice(0, 40)}…: at most ${PART_BYTES_MAX} bytes go before a binary payload`);
    }
    return bytes;
}
/** What a binary frame of a server holds. Throws a `FrameError`. */
function decodeBinary(frame) {
    switch (new Uint8Array(frame)[0]) {
        case KIND.push: {
            const [parts, payload] = split(frame, 3);
            const [joinRef, topic, event] = parts;
            return { joinRef: joinRef === "" ? null : joinRef, ref: null, topic, event, payload };
        }
        case KIND.reply: {
            const [parts, response] = split(frame, 4);
            const [joinRef, ref, topic, status] = parts;
            return {
                joinRef: joinRef === "" ? null : joinRef,
                ref: ref === "" ? null : ref,
                topic,
                event: EVENT.reply,
                payload: { status, response },
            };
        }
        case KIND.broadcast: {
            const [parts, payload] = split(frame, 2);
            const [topic, event] = parts;
            return { joinRef: null, ref: null, topic, event, payload };
        }
        default:
            throw new FrameError("a binary frame begins with 0, 1 or 2");
    }
}
/** The `count` strings of a frame, and the bytes behind them. */
function split(frame, count) {
    const bytes = new Uint8Array(frame);
    const lengths = bytes.subarray(1, 1 + count);
    const parts = [];
    let at = 1 + count;
    for (const length of lengths) {
        parts.push(new TextDecoder().decode(bytes.subarray(at, at + length)));
        at += length;
    }
    if (lengths.length < count || at > bytes.length)
        throw new FrameError("a binary frame is as long as it says");
    return [parts, frame.slice(at)];
}

/** A message as a text frame of version 2: `[join_ref, ref, topic, event, payload]`. */
function encodeText({ joinRef, ref, topic, event, payload }) {
    return JSON.stringify([joinRef, ref, topic, event, payload]);
}
/** What a text frame holds. Throws a `FrameError`. */
function decodeText(text) {
    const parts = parsed(text);
    if (!Array.isArray(parts) || parts.length < 5) {
        throw new FrameError("a text frame is an array of [join_ref, ref, topic, event, payload]");
    }
    const [joinRef, ref, topic, event, payload] = parts;
    if (typeof topic !== "string" || typeof event !== "string") {
        throw new FrameError("topic and event of a text frame are strings");
    }
    return { joinRef: reference(joinRef), ref: reference(ref), topic, event, payload };
}
function parsed(text) {
    try {
        return JSON.parse(text);
    }
    catch (cause) {
        throw new FrameError("a text frame is JSON", { cause });
    }
}
function reference(value) {
    if (value === null || typeof value === "string")
        return value;
    throw new FrameError("join_ref and ref of a text frame are strings or null");
}

/** The version of the serializer, as a query names it. */
const VERSION = "2.0.0";
/** A message as a frame: bytes stay bytes, everything else is JSON. */
function encode(message) {
    const bytes = bytesOf(message.payload);
    return bytes === undefined ? encodeText(message) : encodeBinary(message, bytes);
}
/** What a frame of a server holds. Throws a `FrameError`. */
function decode(frame) {
    return typeof frame === "string" ? decodeText(frame) : decodeBinary(frame);
}
/** `value` as bytes, if it is some. */
function bytesOf(value) {
    if (value instanceof ArrayBuffer)
        return new Uint8Array(value);
    if (!ArrayBuffer.isView(value))
        return undefined;
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/**
 * Exponential backoff with full jitter: every wait is drawn between nothing
 * and a ceiling that doubles, so that clients that lost the same server do not
 * come back at the same moment.
 */
class Backoff {
    #options;
    #attempts = 0;
    constructor(options) {
        this.#options = options;
    }
    /** The wait before the next attempt, in milliseconds. */
    next() {
        const { baseMs, maxMs, random = Math.random } = this.#options;
        const ceiling = Math.min(maxMs, baseMs * 2 ** this.#attempts);
        if (ceiling < maxMs)
            this.#attempts += 1;
        return Math.floor(random() * ceiling);
    }
    /** What was tried has worked: the next wait is a first one again. */
    reset() {
        this.#attempts = 0;
    }
}

/** A connection broke off, or never came to be. */
const CODE_ABNORMAL = 1006;
/** What a server is told when it seems to be gone. */
const CODE_SILENT = 4000;

/**
 * Calls `listener` when a page is likely to have a network again: it has come
 * back online, is shown, or was taken out of the browser's memory of pages.
 * What is returned stops that. Outside of pages nothing is ever called.
 */
function onWake(listener) {
    const { document } = globalThis;
    if (document === undefined || typeof globalThis.addEventListener !== "function")
        return () => { };
    const shown = () => {
        if (document.visibilityState === "visible")
            listener();
    };
    globalThis.addEventListener("online", listener);
    globalThis.addEventListener("pageshow", listener);
    document.addEventListener("visibilitychange", shown);
    return () => {
        globalThis.removeEventListener("online", listener);
        globalThis.removeEventListener("pageshow", listener);
        document.removeEventListener("visibilitychange", shown);
    };
}

/** So long a connection has to be open to count as a success, unless something else is said. */
const STABLE_MS = 5_000;
const CODE_NORMAL = 1000;
/** The application says that who is connected may not be. */
const CODE_NOT_PERMITTED = 4403;
/** A connection that comes back: one transport after another, with backoff between them. */
class Connection {
    #dial;
    #events;
    #options;
    #backoff;
    #state = "idle";
    #transport = null;
    /** Counts the attempts, so that what an old one still says is not heard. */
    #attempt = 0;
    #openedAtMs = 0;
    #timer;
    #stopWaking = () => { };
    constructor(dial, events, options) {
        this.#dial = dial;
        this.#events = events;
        this.#options = {
            reconnectBaseMs: options.reconnectBaseMs ?? 500,
            reconnectMaxMs: options.reconnectMaxMs ?? 30_000,
            stableMs: options.stableMs ?? STABLE_MS,
            openTimeoutMs: options.openTimeoutMs ?? 10_000,
            bufferedBytesMax: options.bufferedBytesMax ?? 8 * 1024 * 1024,
            reconnects: options.reconnects ?? (({ code }) => code !== CODE_NORMAL && code !== CODE_NOT_PERMITTED),
        };
        this.#backoff = new Backoff({ baseMs: this.#options.reconnectBaseMs, maxMs: this.#options.reconnectMaxMs });
    }
    get isOpen() {
        return this.#state === "open";
    }
    get isIdle() {
        return this.#state === "idle";
    }
    /** Whether silence of the open transport may mean that nobody is there. */
    get needsHeartbeat() {
        return this.#transport?.needsHeartbeat ?? false;
    }
    /** Connects, at once even if it was about to wait. */
    connect() {
        if (this.#state === "open" || this.#state === "connecting")
            return;
        if (this.#state === "idle")
            this.#stopWaking = onWake(() => this.#wake());
        this.#begin();
    }
    /** Ends it for good, until the next `connect`. Throws, and ends nothing, if the code may not be sent. */
    disconnect(code, reason) {
        this.#transport?.close(code, reason);
        this.#transport = null;
        this.#stopWaking();
        this.#leave("idle");
    }
    /** Ends the present transport because something is wrong with it, and comes back. */
    drop(code, reason) {
        if (this.#state !== "open" && this.#state !== "connecting")
            return;
        this.#transport?.close(code, reason);
        this.#ended(CODE_ABNORMAL, reason);
    }
    /** Sends a frame, or says that it cannot: not open, or too much waits already. */
    send(frame) {
        const transport = this.#transport;
        if (this.#state !== "open" || transport === null)
            return false;
        if (transport.bufferedBytes > this.#options.bufferedBytesMax)
            return false;
        transport.send(frame);
        return true;
    }
    /** Sends frames that were taken while it was not open, however many they are. */
    flush(frames) {
        for (const frame of frames)
            this.#transport?.send(frame);
    }
    #begin() {
        this.#leave("connecting");
        const attempt = this.#attempt;
        const current = (call) => {
            if (attempt === this.#attempt)
                call();
        };
        this.#timer = setTimeout(() => this.drop(CODE_NORMAL, "no answer in time"), this.#options.openTimeoutMs);
        const events = {
            opened: () => current(() => this.#opened()),
            frame: (frame) => current(() => this.#events.frame(frame)),
            closed: (code, reason) => current(() => this.#ended(code, reason)),
        };
        this.#dial(events).then((transport) => {
            if (attempt === this.#attempt)
                this.#transport = transport;
            else
                transport.close(CODE_NORMAL, "not wanted any more");
        }, (error) => current(() => this.#ended(CODE_ABNORMAL, String(error))));
    }
    #opened() {
        clearTimeout(this.#timer);
        this.#state = "open";
        this.#openedAtMs = Date.now();
        this.#events.opened();
    }
    #ended(code, reason) {
        const opened = this.#state === "open";
        if (opened && Date.now() - this.#openedAtMs >= this.#options.stableMs)
            this.#backoff.reset();
        const closed = { code, reason, opened };
        let returns = true;
        shielded(() => {
            returns = this.#options.reconnects(closed);
        });
        this.#transport = null;
        this.#leave(returns ? "waiting" : "idle");
        if (returns)
            this.#timer = setTimeout(() => this.#begin(), this.#backoff.next());
        else
            this.#stopWaking();
        this.#events.closed(closed, returns);
    }
    /** Into `state`, in which nothing is heard of what was before. */
    #leave(state) {
        clearTimeout(this.#timer);
        this.#attempt += 1;
        this.#state = state;
    }
    #wake() {
        if (this.#state === "waiting")
            this.#begin();
        else if (this.#state === "open")
            this.#events.woken();
    }
}

/** The value of a source. */
async function valueOf(source) {
    return typeof source === "function" ? source() : source;
}
/** `params` as a query, nested ones as `outer[inner]=value`, without `?`. */
function queryOf(params) {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(params))
        append(query, key, value);
    return query.toString();
}
function append(query, key, value) {
    if (value === null || value === undefined)
        return;
    if (typeof value !== "object") {
        query.append(key, String(value));
        return;
    }
    const isList = Array.isArray(value);
    for (const [inner, part] of Object.entries(value))
        append(query, `${key}[${isList ? "" : inner}]`, part);
}

/**
 * An address of a server: `/socket` on the page's own, or a whole one with any of
 * the schemes `ws`, `wss`, `http` and `https`.
 */
class Endpoint {
    #base;
    /** Throws a `TypeError` if `address` is none. */
    constructor(address) {
        this.#base = new URL(address, globalThis.location?.href);
        if (!/^(ws|http)s?:$/.test(this.#base.protocol)) {
            throw new TypeError(`${address}: expected an address with ws, wss, http or https`);
        }
    }
    /** The address of `suffix` under it for a WebSocket. */
    webSocket(suffix, params) {
        return this.#address("ws", suffix, params);
    }
    /** The address of `suffix` under it for requests. */
    http(suffix, params) {
        return this.#address("http", suffix, params);
    }
    #address(scheme, suffix, params) {
        const { protocol, host, pathname, search } = this.#base;
        const secure = protocol === "wss:" || protocol === "https:" ? "s" : "";
        const path = suffix === "" ? pathname : pathname.replace(/\/$/, "") + suffix;
        const query = [search.slice(1), queryOf(params)].filter((it) => it !== "").join("&");
        return `${scheme}${secure}://${host}${path}${query === "" ? "" : `?${query}`}`;
    }
}

/** Frames that wait for a connection, so many and so large together. */
class FrameQueue {
    countMax;
    sizeMax;
    #frames = [];
    #size = 0;
    constructor(countMax, sizeMax) {
        this.countMax = countMax;
        this.sizeMax = sizeMax;
    }
    /** Adds one, or says that there is no room for it. */
    add(frame) {
        const size = this.#size + (typeof frame === "string" ? frame.length : frame.byteLength);
        if (this.#frames.length >= this.countMax || size > this.sizeMax)
            return false;
        this.#frames.push(frame);
        this.#size = size;
        return true;
    }
    /** Takes all, oldest first. */
    take() {
        this.#size = 0;
        return this.#frames.splice(0);
    }
}

/** Asks for signs of life, and notices when none comes. */
class Heartbeat {
    #intervalMs;
    #timeoutMs;
    #ask;
    #missed;
    #asking = false;
    #timer;
    constructor(options, ask, missed) {
        this.#intervalMs = options.intervalMs ?? 30_000;
        this.#timeoutMs = options.timeoutMs ?? 10_000;
        this.#ask = ask;
        this.#missed = missed;
    }
    /** The connection is open: the first question comes after an interval. */
    start() {
        this.stop();
        this.#timer = setTimeout(() => this.askNow(), this.#intervalMs);
    }
    stop() {
        clearTimeout(this.#timer);
        this.#asking = false;
    }
    /** Asks at once, unless an answer is awaited anyway: that is not put off. */
    askNow(timeoutMs = this.#timeoutMs) {
        if (this.#asking)
            return;
        this.stop();
        this.#asking = true;
        this.#timer = setTimeout(() => {
            this.#asking = false;
            this.#missed();
        }, timeoutMs);
        this.#ask();
    }
    /** Something has come, whatever it was: somebody is there. */
    heard() {
        if (this.#asking)
            this.start();
    }
}

/** A WebSocket. */
class WebSocketTransport {
    needsHeartbeat = true;
    #socket;
    #events;
    constructor(address, protocols, events, Class) {
        this.#events = events;
        this.#socket = protocols.length === 0 ? new Class(address) : new Class(address, protocols);
        this.#socket.binaryType = "arraybuffer";
        this.#socket.onopen = () => this.#events?.opened();
        this.#socket.onmessage = ({ data }) => this.#events?.frame(data);
        this.#socket.onclose = ({ code, reason }) => this.#end()?.closed(code, reason);
        // What is wrong is not told to pages; a close follows.
        this.#socket.onerror = () => { };
    }
    get bufferedBytes() {
        return this.#socket.bufferedAmount;
    }
    send(frame) {
        this.#socket.send(frame);
    }
    close(code, reason) {
        this.#socket.close(code, reason);
        this.#end();
    }
    #end() {
        const events = this.#events;
        this.#events = null;
        return events;
    }
}

/** A WebSocket that carries JSON, and comes back. */
class PlainSocket {
    #endpoint;
    #options;
    #connection;
    #heartbeat;
    #resume = new Resume();
    #messages = new Listeners();
    #opened = new Listeners();
    #closed = new Listeners();
    #resyncs = new Listeners();
    #errors = new Listeners();
    #waiting;
    constructor(address, options = {}) {
        this.#endpoint = new Endpoint(address);
        this.#options = options;
        this.#waiting = new FrameQueue(options.waitingMax ?? 1_000, options.waitingSizeMax ?? 1024 * 1024);
        this.#connection = new Connection((events) => this.#dial(events), this.#connectionEvents(), options);
        const { heartbeat } = options;
        this.#heartbeat =
            heartbeat === undefined
                ? null
                : new Heartbeat(heartbeat, () => void this.#connection.send(frameOf(heartbeat.frame)), () => this.#connection.drop(CODE_SILENT, "no sign of life"));
    }
    /** The last message that was seen, if its group keeps a history. */
    get lastSeenId() {
        return this.#resume.lastSeenId;
    }
    isConnected() {
        return this.#connection.isOpen;
    }
    connect() {
        this.#connection.connect();
    }
    /** Ends the connection until the next `connect`; what waits is dropped. */
    disconnect(code = 1000, reason = "") {
        if (this.#connection.isIdle)
            return;
        const opened = this.#connection.isOpen;
        this.#connection.disconnect(code, reason);
        this.#ended({ code, reason, opened }, false);
    }
    /**
     * Sends a JSON value, or bytes. While there is no connection it waits. Says
     * `false` if it was refused: too much waits already, or `connect` was not called.
     * Throws a `TypeError` if it is neither.
     */
    send(message) {
        const frame = frameOf(message);
        if (this.#connection.isOpen)
            return this.#connection.send(frame);
        return !this.#connection.isIdle && this.#waiting.add(frame);
    }
    /** A JSON value has come, or bytes as an `ArrayBuffer`. */
    onMessage(callback) {
        return this.#messages.add(callback);
    }
    onOpen(callback) {
        return this.#opened.add(callback);
    }
    /** The connection has ended, or could not be made; `returns` says whether it comes back by itself. */
    onClose(callback) {
        return this.#closed.add(callback);
    }
    /** More was missed than the history holds: whoever keeps a state has to fetch it. */
    onResync(callback) {
        return this.#resyncs.add(callback);
    }
    /** What came is not JSON. */
    onError(callback) {
        return this.#errors.add(callback);
    }
    async #dial(events) {
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
            frame: (frame) => this.#received(frame),
            closed: (closed, returns) => this.#ended(closed, returns),
            woken: () => this.#heartbeat?.askNow(),
        };
    }
    #received(frame) {
        this.#heartbeat?.heard();
        let message = frame;
        try {
            if (typeof frame === "string")
                message = JSON.parse(frame);
        }
        catch (cause) {
            this.#errors.emit(new FrameError("a text frame of a plain socket is JSON", { cause }));
            return;
        }
        const resync = this.#resume.sawFrame(message);
        this.#messages.emit(message);
        if (resync)
            this.#resyncs.emit(message);
    }
    #ended(closed, returns) {
        this.#heartbeat?.stop();
        if (!returns)
            this.#waiting.take();
        this.#closed.emit(closed, returns);
    }
}
function frameOf(message) {
    const bytes = bytesOf(message);
    if (bytes !== undefined)
        return bytes.slice().buffer;
    const text = JSON.stringify(message);
    if (text === undefined)
        throw new TypeError(`${String(message)}: expected a JSON value, or bytes`);
    return text;
}

/** The payload of `presence_state`, or a half of a `presence_diff`, as a map. */
function entriesIn(payload) {
    const entries = new Map();
    if (!isRecord(payload))
        return entries;
    for (const [key, entry] of Object.entries(payload)) {
        if (isRecord(entry) && Array.isArray(entry["metas"]))
            entries.set(key, entry);
    }
    return entries;
}
/** The change that leads from `current` to `next`; metas are the same if their `phx_ref` is. */
function applyState(current, next) {
    return applyDiff(current, without(next, current), without(current, next));
}
/** The change that a diff makes. A meta that is there does not come again; one that is not there does not go. */
function applyDiff(current, joins, leaves) {
    const state = new Map(current);
    const joined = [];
    const left = [];
    for (const [key, entry] of joins) {
        const before = state.get(key);
        const come = missing(entry, before);
        state.set(key, { ...entry, metas: [...missing(before, entry), ...entry.metas] });
        if (come.length > 0)
            joined.push({ key, current: before, entry: { ...entry, metas: come } });
    }
    for (const [key, entry] of leaves) {
        const before = state.get(key);
        if (before === undefined)
            continue;
        const stays = missing(before, entry);
        const gone = missing(entry, { metas: missing(entry, before) });
        if (gone.length === 0)
            continue;
        const rest = { ...before, metas: stays };
        if (stays.length === 0)
            state.delete(key);
        else
            state.set(key, rest);
        left.push({ key, current: rest, entry: { ...entry, metas: gone } });
    }
    return { state, joined, left };
}
/** The entries of `all` with the metas that `known` has not, if there are any. */
function without(all, known) {
    const rest = new Map();
    for (const [key, entry] of all) {
        const metas = missing(entry, known.get(key));
        if (metas.length > 0)
            rest.set(key, { ...entry, metas });
    }
    return rest;
}
/** The metas of `entry` that are not in `other`. */
function missing(entry, other) {
    const refs = new Set(other?.metas.map((it) => it.phx_ref));
    return entry?.metas.filter((it) => !refs.has(it.phx_ref)) ?? [];
}

/** So many diffs wait for the state that comes before them; older ones are dropped. */
const PENDING_MAX = 1000;
/** Who is in a topic, kept up to date by what its channel hears. */
class Presence {
    #channel;
    #joins = new Listeners();
    #leaves = new Listeners();
    #syncs = new Listeners();
    #state = new Map();
    /** The join whose state has come. */
    #joinRef = null;
    #pending = [];
    /** The join that the pending diffs belong to. */
    #pendingRef = null;
    constructor(channel, { events = { state: "presence_state", diff: "presence_diff" } } = {}) {
        this.#channel = channel;
        channel.on(events.state, (payload) => this.#sawState(payload));
        channel.on(events.diff, (payload) => this.#sawDiff(payload));
    }
    /** Who is there, by key. */
    get state() {
        return this.#state;
    }
    /** Who is there, as a list in the order in which they came; `by` makes something else of each. */
    list(by) {
        return [...this.#state].map(([key, entry]) => (by === undefined ? entry : by(key, entry)));
    }
    /** Somebody came: the entry as it was before, if any, and the entry with the new metas. */
    onJoin(callback) {
        return this.#joins.add(callback);
    }
    /** Somebody went: what is left of the entry, and the entry with the metas that went. */
    onLeave(callback) {
        return this.#leaves.add(callback);
    }
    /** The state has changed. */
    onSync(callback) {
        return this.#syncs.add(callback);
    }
    #sawState(payload) {
        this.#joinRef = this.#channel.joinRef;
        this.#change(applyState(this.#state, entriesIn(payload)));
        for (const diff of this.#takePending())
            this.#apply(diff);
        this.#syncs.emit();
    }
    #sawDiff(payload) {
        if (this.#joinRef === null || this.#joinRef !== this.#channel.joinRef) {
            this.#pending = [...this.#takePending(), payload].slice(-PENDING_MAX);
            return;
        }
        this.#apply(payload);
        this.#syncs.emit();
    }
    /** The diffs of the present join. Those of an earlier one are older than the state that follows. */
    #takePending() {
        const pending = this.#pendingRef === this.#channel.joinRef ? this.#pending : [];
        this.#pendingRef = this.#channel.joinRef;
        this.#pending = [];
        return pending;
    }
    #apply(diff) {
        const { joins, leaves } = isRecord(diff) ? diff : {};
        this.#change(applyDiff(this.#state, entriesIn(joins), entriesIn(leaves)));
    }
    #change({ state, joined, left }) {
        this.#state = state;
        const tell = (listeners) => (it) => listeners.emit(it.key, it.current, it.entry);
        joined.forEach(tell(this.#joins));
        left.forEach(tell(this.#leaves));
    }
}

const CHUNK = 0x2000;
/** Bytes as base64. */
function encodeBase64(bytes) {
    let text = "";
    // A call takes so many arguments only.
    for (let at = 0; at < bytes.length; at += CHUNK)
        text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
    return btoa(text);
}
/** The bytes of base64. Throws if it is none. */
function decodeBase64(text) {
    return Uint8Array.from(atob(text), (it) => it.charCodeAt(0)).buffer;
}
/** A text as base64 that may stand in a header or an address. */
function encodeBase64Url(text) {
    const plain = encodeBase64(new TextEncoder().encode(text));
    return plain.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/** How many things may wait at once. */
class Budget {
    max;
    #used = 0;
    constructor(max) {
        this.max = max;
    }
    /** Takes one, or says that none is left. */
    take() {
        if (this.#used >= this.max)
            return false;
        this.#used += 1;
        return true;
    }
    /** Gives `count` back. */
    give(count) {
        this.#used -= count;
    }
}

/** So many lines of a batch are taken by a server. */
const LINES_MAX = 100;
/** A request of one MiB is refused by some servers. */
const BATCH_BYTES_MAX = 1_000_000;
/** The frames that wait to be posted: one line each, text as it is, bytes in base64. */
class LongPollOutbox {
    #lines = [];
    #bytes = 0;
    /** What waits, in bytes. */
    get bytes() {
        return this.#bytes;
    }
    /** Whether nothing waits. */
    get isEmpty() {
        return this.#lines.length === 0;
    }
    add(frame) {
        const text = typeof frame === "string" ? frame : encodeBase64(new Uint8Array(frame));
        // One more for the end of the line.
        const bytes = new TextEncoder().encode(text).length + 1;
        this.#lines.push({ text, bytes });
        this.#bytes += bytes;
    }
    /** Takes out as many lines as go with one request, and at least one. */
    batch() {
        let count = 0;
        let bytes = 0;
        for (const line of this.#lines.slice(0, LINES_MAX)) {
            if (count > 0 && bytes + line.bytes > BATCH_BYTES_MAX)
                break;
            count += 1;
            bytes += line.bytes;
        }
        this.#bytes -= bytes;
        const batch = this.#lines.splice(0, count);
        return batch.map((it) => it.text).join("\n");
    }
    /** Drops what waits. */
    clear() {
        this.#lines = [];
        this.#bytes = 0;
    }
}

const CODE_FORBIDDEN = 1008;
const CODE_FAILED = 1011;
const CODE_GONE = 3410;
/** A request that brings no message lasts at least so long, however fast the server answers. */
const EMPTY_POLL_MS = 100;
/** Requests that wait for messages, and others that bring some, for where WebSockets do not get through. */
class LongPollTransport {
    needsHeartbeat = false;
    #options;
    #outbox = new LongPollOutbox();
    #reading = new AbortController();
    #writing = new AbortController();
    #events;
    #token = null;
    #posting = false;
    #lastPosts;
    constructor(options, events) {
        this.#options = options;
        this.#events = events;
        void this.#guarded(() => this.#poll(), this.#reading.signal);
    }
    get bufferedBytes() {
        return this.#outbox.bytes;
    }
    send(frame) {
        this.#outbox.add(frame);
        if (this.#posting)
            return;
        this.#posting = true;
        // What is sent in one turn goes with one request.
        queueMicrotask(() => void this.#guarded(() => this.#post(), this.#writing.signal));
    }
    close() {
        this.#events = null;
        this.#reading.abort();
        // What was sent before still goes out, as it does over a WebSocket, but not for ever.
        if (!this.#posting)
            return;
        this.#lastPosts = setTimeout(() => this.#end(), this.#options.requestTimeoutMs);
    }
    async #poll() {
        while (this.#events !== null) {
            const begunAtMs = Date.now();
            const { status, token, messages } = await this.#request("GET", {}, null, this.#reading.signal);
            if (status === 410)
                this.#opened(token);
            else if (this.#token === null || (status !== 200 && status !== 204))
                this.#fail(status);
            else if (messages.length > 0)
                this.#deliver(messages);
            else
                await pause(begunAtMs + EMPTY_POLL_MS - Date.now());
        }
    }
    /** The session is there, or, if there was one, it is gone. */
    #opened(token) {
        if (this.#token !== null || token === null) {
            this.#fail(410);
            return;
        }
        this.#token = token;
        this.#events?.opened();
    }
    #deliver(messages) {
        for (const message of messages)
            this.#events?.frame(message.startsWith("[") ? message : decodeBase64(message));
    }
    async #post() {
        const headers = { "content-type": "application/x-ndjson" };
        while (!this.#outbox.isEmpty) {
            const { status } = await this.#request("POST", { ...headers }, this.#outbox.batch(), this.#writing.signal);
            if (status !== 200)
                this.#fail(status);
        }
        this.#posting = false;
        clearTimeout(this.#lastPosts);
    }
    async #request(method, headers, body, ended) {
        const { address, authToken, requestTimeoutMs } = this.#options;
        if (this.#token !== null)
            headers["x-phoenix-longpoll-token"] = this.#token;
        else if (authToken !== undefined)
            headers["x-phoenix-authtoken"] = authToken;
        const limit = new AbortController();
        const stop = () => limit.abort();
        const timer = setTimeout(stop, requestTimeoutMs);
        ended.addEventListener("abort", stop);
        try {
            const response = await fetch(address, { method, headers, body, signal: limit.signal, cache: "no-store" });
            return answerIn(response.status, await response.json());
        }
        finally {
            clearTimeout(timer);
            ended.removeEventListener("abort", stop);
        }
    }
    /** Runs `work`. Whatever goes wrong in it is the end of the connection, unless it was `ended` from here. */
    async #guarded(work, ended) {
        try {
            await work();
        }
        catch (error) {
            if (ended.aborted)
                return;
            this.#end()?.closed(CODE_ABNORMAL, error instanceof Error ? error.message : "the request failed");
        }
    }
    #fail(status) {
        const events = this.#end();
        if (status === 403)
            events?.closed(CODE_FORBIDDEN, "forbidden");
        else if (status === 410)
            events?.closed(CODE_GONE, "the session is gone");
        else
            events?.closed(CODE_FAILED, `the server answered ${status}`);
    }
    /** Ends what goes on, and drops what waits. */
    #end() {
        const events = this.#events;
        this.#events = null;
        this.#outbox.clear();
        this.#reading.abort();
        this.#writing.abort();
        clearTimeout(this.#lastPosts);
        return events;
    }
}
function pause(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}
/** The body says what the status is; one without a word of it is as HTTP says. */
function answerIn(httpStatus, body) {
    const { status, token, messages } = isRecord(body) ? body : {};
    return {
        status: typeof status === "number" ? status : httpStatus,
        token: typeof token === "string" ? token : null,
        messages: Array.isArray(messages) ? messages.filter((it) => typeof it === "string") : [],
    };
}

/** After so many failures in a row even WebSockets that once worked are given up for a while. */
const FAILURES_MAX = 3;
/**
 * Chooses the way of the next attempt. With `auto` it is a WebSocket until one
 * does not open; then the two take turns until one opens. Where WebSockets have
 * worked before, a failure more likely means a server that restarts than a
 * proxy in the way, so three in a row are needed.
 */
class TransportChoice {
    #policy;
    #next;
    #proven = false;
    #failures = 0;
    constructor(policy) {
        this.#policy = policy;
        this.#next = policy === "longpoll" ? "longpoll" : "websocket";
    }
    /** The way of the next attempt. */
    get next() {
        return this.#next;
    }
    /** Whether it is still unknown that frames get through WebSockets, and there is something else to try. */
    get isUnproven() {
        return this.#policy === "auto" && this.#next === "websocket" && !this.#proven;
    }
    /** A frame has come over the present way. */
    worked() {
        this.#failures = 0;
        if (this.#next === "websocket")
            this.#proven = true;
    }
    /** The present way did not open, or nothing came over it. */
    failed() {
        if (this.#policy !== "auto")
            return;
        this.#failures += 1;
        if (this.#next === "longpoll")
            this.#next = "websocket";
        else if (!this.#proven || this.#failures >= FAILURES_MAX)
            this.#next = "longpoll";
    }
    /** A connection that was open has ended: WebSockets have another chance. */
    ended() {
        if (this.#policy === "auto")
            this.#next = "websocket";
    }
}

/** A connection that carries any number of topics, and comes back. */
class Socket {
    #endpoint;
    #options;
    #connection;
    #heartbeat;
    #choice;
    #host;
    #opened = new Listeners();
    #closed = new Listeners();
    #errors = new Listeners();
    #channels = [];
    #ref = 0;
    /** Whether anything has come over the present connection. */
    #heard = false;
    /** `address` is where the server has the socket: `/socket`, `wss://example.org/socket`. */
    constructor(address, options = {}) {
        this.#endpoint = new Endpoint(address);
        this.#options = options;
        this.#choice = new TransportChoice(options.transport ?? "auto");
        this.#connection = new Connection((events) => this.#dial(events), this.#connectionEvents(), options);
        this.#heartbeat = new Heartbeat({ intervalMs: options.heartbeatMs, timeoutMs: options.heartbeatTimeoutMs }, () => this.#ask(), () => this.#connection.drop(CODE_SILENT, "no sign of life"));
        this.#host = this.#channelHost();
    }
    /** The way that is used, or tried next. */
    get transport() {
        return this.#choice.next;
    }
    isConnected() {
        return this.#connection.isOpen;
    }
    /** Connects, and joins the channels that were joined before. */
    connect() {
        this.#connection.connect();
    }
    /** Ends the connection until the next `connect`. */
    disconnect(code = 1000, reason = "") {
        if (this.#connection.isIdle)
            return;
        const opened = this.#connection.isOpen;
        this.#connection.disconnect(code, reason);
        this.#ended({ code, reason, opened }, false);
    }
    /** A channel for a topic; its `params` are sent with each join. */
    channel(topic, params = {}) {
        return new Channel(topic, params, this.#host);
    }
    onOpen(callback) {
        return this.#opened.add(callback);
    }
    /** The connection has ended, or could not be made; `returns` says whether it comes back by itself. */
    onClose(callback) {
        return this.#closed.add(callback);
    }
    /** The server said what could not be understood. */
    onError(callback) {
        return this.#errors.add(callback);
    }
    async #dial(events) {
        const params = { ...(await valueOf(this.#options.params ?? {})), vsn: VERSION };
        const authToken = await valueOf(this.#options.authToken);
        if (this.#choice.next === "longpoll") {
            const address = this.#endpoint.http("/longpoll", params);
            const requestTimeoutMs = this.#options.requestTimeoutMs ?? 30_000;
            return new LongPollTransport({ address, authToken, requestTimeoutMs }, events);
        }
        const address = this.#endpoint.webSocket("/websocket", params);
        const protocols = authToken === undefined ? [] : ["phoenix", `base64url.bearer.phx.${encodeBase64Url(authToken)}`];
        return new WebSocketTransport(address, protocols, events, this.#options.WebSocket ?? globalThis.WebSocket);
    }
    #connectionEvents() {
        return {
            opened: () => this.#openedNow(),
            frame: (frame) => this.#received(frame),
            closed: (closed, returns) => this.#ended(closed, returns),
            woken: () => {
                if (this.#connection.needsHeartbeat)
                    this.#heartbeat.askNow();
            },
        };
    }
    #channelHost() {
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
    #openedNow() {
        if (this.#choice.isUnproven)
            this.#heartbeat.askNow(this.#options.openTimeoutMs);
        else if (this.#connection.needsHeartbeat)
            this.#heartbeat.start();
        for (const channel of this.#channels)
            channel.connected();
        this.#opened.emit();
    }
    #received(frame) {
        this.#heard = true;
        this.#choice.worked();
        this.#heartbeat.heard();
        let message;
        try {
            message = decode(frame);
        }
        catch (error) {
            this.#errors.emit(error);
            return;
        }
        for (const channel of this.#channels)
            if (channel.topic === message.topic)
                channel.received(message);
    }
    #ended(closed, returns) {
        this.#heartbeat.stop();
        if (this.#heard)
            this.#choice.ended();
        else if (returns)
            this.#choice.failed();
        this.#heard = false;
        for (const channel of this.#channels)
            channel.disconnected();
        // One of the callbacks may have ended it for good.
        this.#closed.emit(closed, returns && !this.#connection.isIdle);
    }
    #takeTopic(channel) {
        for (const other of this.#channels) {
            if (other !== channel && other.topic === channel.topic)
                other.leave();
        }
        if (!this.#channels.includes(channel))
            this.#channels = [...this.#channels, channel];
    }
    #ask() {
        const ref = this.#nextRef();
        const message = { joinRef: null, ref, topic: CONNECTION_TOPIC, event: EVENT.heartbeat, payload: {} };
        this.#connection.send(encode(message));
    }
    #nextRef() {
        this.#ref += 1;
        return String(this.#ref);
    }
}

/** One stream of a demultiplexed socket. */
class Stream {
    name;
    #send;
    #resume = new Resume();
    #messages = new Listeners();
    #errors = new Listeners();
    #resyncs = new Listeners();
    /** @internal */
    constructor(name, send) {
        this.name = name;
        this.#send = send;
    }
    /** The last message that was seen, if its group keeps a history. */
    get lastSeenId() {
        return this.#resume.lastSeenId;
    }
    /** Sends a JSON value on this stream, as `PlainSocket.send` does. */
    send(payload) {
        return this.#send(payload);
    }
    onMessage(callback) {
        return this.#messages.add(callback);
    }
    onError(callback) {
        return this.#errors.add(callback);
    }
    /** More was missed than the history holds: whoever keeps a state has to fetch it. */
    onResync(callback) {
        return this.#resyncs.add(callback);
    }
    /** @internal */
    received(frame) {
        const { error, payload } = frame;
        if (isRecord(error)) {
            this.#errors.emit({ code: String(error["code"]), reason: String(error["reason"]) });
            return;
        }
        const resync = this.#resume.sawFrame(payload);
        this.#messages.emit(payload);
        if (resync)
            this.#resyncs.emit(payload);
    }
}
/** Several streams over one WebSocket: `{"stream": …, "payload": …}` in both directions. */
class Streams {
    #socket;
    #streams = new Map();
    #errors = new Listeners();
    constructor(address, options = {}) {
        const { params = {} } = options;
        const withPositions = async () => ({ ...(await valueOf(params)), ...this.#positions() });
        this.#socket = new PlainSocket(address, { ...options, params: withPositions });
        this.#socket.onMessage((frame) => this.#received(frame));
    }
    /** The stream of that name, always the same one. */
    stream(name) {
        let stream = this.#streams.get(name);
        if (stream === undefined) {
            stream = new Stream(name, (payload) => this.#socket.send({ stream: name, payload }));
            this.#streams.set(name, stream);
        }
        return stream;
    }
    isConnected() {
        return this.#socket.isConnected();
    }
    connect() {
        this.#socket.connect();
    }
    disconnect(code = 1000, reason = "") {
        this.#socket.disconnect(code, reason);
    }
    onOpen(callback) {
        return this.#socket.onOpen(callback);
    }
    onClose(callback) {
        return this.#socket.onClose(callback);
    }
    /** What concerns no stream that is known here. */
    onError(callback) {
        return this.#errors.add(callback);
    }
    #received(frame) {
        const name = isRecord(frame) ? frame["stream"] : undefined;
        const stream = typeof name === "string" ? this.#streams.get(name) : undefined;
        if (stream !== undefined && isRecord(frame))
            stream.received(frame);
        else if (isRecord(frame) && isRecord(frame["error"])) {
            this.#errors.emit({ code: String(frame["error"]["code"]), reason: String(frame["error"]["reason"]) });
        }
    }
    /** Where each stream stands, as `last_seen_id.<stream>`. */
    #positions() {
        const known = [...this.#streams.values()].filter((it) => it.lastSeenId !== null);
        return Object.fromEntries(known.map((it) => [`${LAST_SEEN_ID}.${it.name}`, it.lastSeenId]));
    }
}

export { Channel, FrameError, PlainSocket, Presence, Push, PushError, Socket, Stream, Streams };
