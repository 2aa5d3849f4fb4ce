// Clients of which nothing is heard.

import assert from "node:assert/strict";
import { test } from "node:test";

import WebSocket from "ws";

import { answer, connected, joined } from "../lib/client.mjs";
import { client, inTopic } from "../lib/own-client.mjs";
import { withRaw } from "../lib/raw-socket.mjs";
import { Inbox, STEP_MS, unique, within } from "../lib/waiting.mjs";

/** The server's close of a client that it has not heard of for too long. */
const QUIET = 1002;

test("a quiet client is closed when its time is over, not before its heartbeat", () =>
  withRaw("/quiet", {}, async (raw) => {
    const started = performance.now();
    raw.send(null, "1", "phoenix", "heartbeat");
    await raw.expectReply(null, "1", "phoenix", "ok", {});
    assert.equal(await raw.closeCode(), QUIET);
    assert.ok(performance.now() - started >= 1450, "not before 1 500 ms");
  }));

test("heartbeats keep a connection that is otherwise silent", async (context) => {
  const options = { heartbeatIntervalMs: 150, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20 };
  const socket = await connected(context, { mount: "/quiet", ...options });
  const { channel } = await joined(socket, unique("room:"));
  // The client's interval is its patience, too: where an answer takes longer, it closes by itself, with
  // 1000, and comes back.
  let closes = 0;
  socket.onClose(({ code }) => (closes += code === QUIET));
  let beats = 0;
  const twenty = new Promise((resolve) => {
    socket.onMessage(({ topic }) => {
      if (topic === "phoenix" && (beats += 1) === 20) resolve();
    });
  });
  await within("twentieth beat", twenty);
  assert.equal(closes, 0);
  // It has more patience for the answer.
  socket.heartbeatIntervalMs = STEP_MS;
  assert.deepEqual(await answer(channel.push("echo", {})), ["ok", {}]);
});

test("heartbeats of Towpath's own client keep a connection that is otherwise silent", async (context) => {
  const frames = new Inbox();
  class Counted extends WebSocket {
    constructor(...parts) {
      super(...parts);
      this.addEventListener("message", () => frames.add(null));
    }
  }
  const socket = client(context, { mount: "/quiet", heartbeatMs: 100, transport: "websocket", WebSocket: Counted });
  const channel = await inTopic(socket, unique("room:"));
  let closes = 0;
  socket.onClose(() => (closes += 1));
  // Thirty answers take twice the time after which a quiet client is closed.
  for (let beat = 0; beat < 30; beat += 1) await frames.next();
  assert.equal(closes, 0);
  assert.deepEqual(await channel.push("echo", {}).reply(), {});
});
