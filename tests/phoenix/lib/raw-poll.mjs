// A long-poll session, request by request.

import assert from "node:assert/strict";

import { NODES, httpAddress } from "./server.mjs";
import { V2 } from "./versions.mjs";
import { STEP_MS } from "./waiting.mjs";

export class RawPoll {
  #messages = [];

  constructor(mount, { version = V2, params = {}, headers = {}, nodes = NODES } = {}) {
    this.mount = mount;
    this.version = version;
    this.params = { ...params, vsn: version.vsn };
    this.headers = headers;
    this.nodes = nodes;
    this.requests = 0;
  }

  /** A session that is open; each request goes to the next of `nodes`. */
  static async open(mount, options) {
    const poll = new RawPoll(mount, options);
    const { status, token } = await poll.get();
    assert.equal(status, 410, "a new session is told by 410");
    assert.equal(typeof token, "string", "with its token");
    poll.token = token;
    return poll;
  }

  get() {
    return this.#request("GET", {});
  }

  post(body, contentType = "application/x-ndjson") {
    return this.#request("POST", contentType === null ? {} : { "content-type": contentType }, body);
  }

  async #request(method, headers, body) {
    // As the npm client does it: behind the application's own, which may have that name.
    const params = Object.entries(this.params);
    if (this.token !== undefined) params.push(["token", this.token]);
    const node = this.nodes[this.requests % this.nodes.length];
    this.requests += 1;
    const address = httpAddress(`${this.mount}/longpoll`, params, node);
    const signal = AbortSignal.timeout(STEP_MS);
    const response = await fetch(address, { method, headers: { ...this.headers, ...headers }, body, signal });
    assert.equal(response.status, 200, "the status stands in the body");
    assert.match(response.headers.get("content-type"), /^application\/json/);
    return response.json();
  }

  line(joinRef, ref, topic, event, payload = {}) {
    return this.version.encode({ joinRef, ref, topic, event, payload });
  }

  /** Posts one message, in the form of every version. */
  async send(joinRef, ref, topic, event, payload) {
    const { status } = await this.post(this.line(joinRef, ref, topic, event, payload), "application/json");
    assert.equal(status, 200);
  }

  /** The next message, polling as often as it takes. */
  async next() {
    while (this.#messages.length === 0) {
      const { status, messages } = await this.get();
      assert.ok(status === 200 || status === 204, `polled ${status}`);
      for (const text of messages) this.#messages.push(this.version.decode(text));
    }
    return this.#messages.shift();
  }

  async expect(joinRef, ref, topic, event, payload) {
    assert.deepEqual(await this.next(), this.version.expected({ joinRef, ref, topic, event, payload }));
  }

  async expectReply(joinRef, ref, topic, status, response) {
    await this.expect(joinRef, ref, topic, "phx_reply", { status, response });
  }

  async join(topic, payload = {}, ref = "1") {
    await this.send(ref, ref, topic, "phx_join", payload);
    await this.expectReply(ref, ref, topic, "ok", {});
  }
}
