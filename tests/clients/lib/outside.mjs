// A program without Rust beside a layer: it calls the layer over HTTP, and holds sockets as a page
// does.

import assert from "node:assert/strict";

import WebSocket from "ws";

import { socketAddress, within } from "./run.mjs";

export const STEP_LIMIT_MS = 20_000;

/** The layer at an address. */
export class Layer {
  #base;
  #token;

  constructor(base, token) {
    this.#base = base;
    this.#token = token;
  }

  get(path) {
    return this.#call("GET", path);
  }

  post(path, body) {
    return this.#call("POST", path, body);
  }

  async #call(method, path, body) {
    const response = await fetch(new URL(path, this.#base), {
      method,
      headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(STEP_LIMIT_MS * 2),
    });
    const answer = await response.json();
    assert.equal(response.status, 200, `${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Takes the next event of a channel, as a worker in any language would. */
  async event(channel) {
    const { messages } = await this.post("/v1/receive", { channels: [channel] });
    assert.equal(messages.length, 1, `an event on ${channel}`);
    return messages[0].event;
  }

  /** Completes an event; `parts` is what else its connection is told. */
  complete({ reply_channel, attempt }, parts = {}, session = null) {
    const done = session === null ? {} : { session: Buffer.from(session).toString("base64") };
    const completion = { attempt, outcome: { done } };
    return this.post("/v1/send", { channel: reply_channel, ...parts, completion });
  }
}

/** A page's socket, whose messages wait until they are asked for. */
export class Page {
  #kept = [];
  #wake = () => {};

  constructor(url, path) {
    this.socket = new WebSocket(socketAddress(url, path));
    this.socket.on("message", (data) => {
      this.#kept.push(data.toString());
      this.#wake();
    });
    const opened = new Promise((resolve, reject) => {
      this.socket.once("open", resolve);
      this.socket.once("error", reject);
    });
    this.opened = within(STEP_LIMIT_MS, "open socket", opened);
  }

  /** The next message that fits; others are passed over. */
  next(what, fits = () => true) {
    const heard = new Promise((resolve) => {
      this.#wake = () => {
        const at = this.#kept.findIndex(fits);
        if (at < 0) return;
        // What comes after this one is for whoever asks next.
        this.#wake = () => {};
        resolve(this.#kept.splice(0, at + 1).at(-1));
      };
      this.#wake();
    });
    return within(STEP_LIMIT_MS, what, heard);
  }
}
