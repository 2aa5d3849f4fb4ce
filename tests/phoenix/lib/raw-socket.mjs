// A WebSocket that speaks the protocol frame by frame.

import assert from "node:assert/strict";

import WebSocket from "ws";

import { wsAddress } from "./server.mjs";
import { V2 } from "./versions.mjs";
import { Inbox, within } from "./waiting.mjs";

export class RawSocket {
  #inbox = new Inbox();

  /**
   * Opens `mount` on a node; a refusal is an error with the `status`. `offered` goes out as the
   * header of the subprotocols in place of `protocols`, of which `ws`, as a browser, refuses some.
   */
  static async open(mount, { version = V2, params = {}, headers = {}, protocols = [], offered, node, suffix = "/websocket" } = {}) {
    const raw = new RawSocket();
    raw.version = version;
    const address = wsAddress(`${mount}${suffix}`, { ...params, vsn: version.vsn }, node);
    const finishRequest = (request) => {
      if (offered !== undefined) request.setHeader("sec-websocket-protocol", offered);
      request.end();
    };
    raw.socket = new WebSocket(address, protocols, { headers, finishRequest, perMessageDeflate: false });
    raw.closed = new Promise((resolve) => {
      raw.socket.on("close", (code, reason) => {
        raw.#inbox.end(`closed with ${code} ${reason}`);
        resolve(code);
      });
    });
    raw.socket.on("message", (data, isBinary) => raw.#inbox.add(isBinary ? data : version.decode(data.toString())));
    const opened = new Promise((resolve, reject) => {
      raw.socket.once("open", resolve);
      raw.socket.once("error", reject);
      raw.socket.once("unexpected-response", (_, response) => reject(refusal(response)));
    });
    await within("open connection", opened);
    raw.socket.on("error", () => {});
    return raw;
  }

  send(joinRef, ref, topic, event, payload = {}) {
    this.socket.send(this.version.encode({ joinRef, ref, topic, event, payload }));
  }

  async next(what) {
    return this.#inbox.next(what);
  }

  /** The next message is this one. */
  async expect(joinRef, ref, topic, event, payload) {
    const expected = this.version.expected({ joinRef, ref, topic, event, payload });
    assert.deepEqual(await this.next(`${event} of ${topic}`), expected);
  }

  /** The next message answers `ref`. */
  async expectReply(joinRef, ref, topic, status, response) {
    await this.expect(joinRef, ref, topic, "phx_reply", { status, response });
  }

  async join(topic, payload = {}, ref = "1") {
    this.send(ref, ref, topic, "phx_join", payload);
    await this.expectReply(ref, ref, topic, "ok", {});
  }

  /** Nothing of `topic` has come before this: an echo on it is answered next. */
  async expectNothing(joinRef, topic) {
    this.send(joinRef, "nothing", topic, "echo", { nothing: true });
    await this.expectReply(joinRef, "nothing", topic, "ok", { nothing: true });
  }

  closeCode() {
    return within("close", this.closed);
  }

  async close() {
    this.socket.close();
    await this.closeCode();
  }
}

function refusal(response) {
  response.resume();
  const error = new Error(`refused with ${response.statusCode}`);
  error.status = response.statusCode;
  return error;
}

/** The status that refuses such a socket. */
export async function refusedWith(mount, options) {
  try {
    const raw = await RawSocket.open(mount, options);
    await raw.close();
  } catch (error) {
    if (error.status !== undefined) return error.status;
    throw error;
  }
  throw new Error("the socket was not refused");
}

/** A socket for the length of `body`. */
export async function withRaw(mount, options, body) {
  const raw = await RawSocket.open(mount, options);
  try {
    await body(raw);
  } finally {
    raw.socket.terminate();
  }
}
