// Bytes as payloads.

import assert from "node:assert/strict";
import { test } from "node:test";

import WebSocket from "ws";

import { BINARY_WAYS, WAYS, answer, connected, ended, joined, once } from "../lib/client.mjs";
import { RawPoll } from "../lib/raw-poll.mjs";
import { withRaw } from "../lib/raw-socket.mjs";
import { unique, within } from "../lib/waiting.mjs";

/** The answer by long-poll to what was answered with bytes. */
const NO_BYTES = { reason: "a binary payload towards a text-only transport: send JSON" };

const bytes = (...parts) => Uint8Array.from(parts).buffer;
const list = (buffer) => [...new Uint8Array(buffer)];

/** Numbers are bytes, strings are their UTF-8. */
function frame(...parts) {
  return Buffer.concat(parts.map((it) => (typeof it === "number" ? Buffer.of(it) : Buffer.from(it))));
}

function binaryPush(joinRef, ref, topic, event, ...payload) {
  const parts = [joinRef, ref, topic, event];
  return frame(0, ...parts.map((it) => Buffer.byteLength(it)), ...parts, ...payload);
}

for (const { name, options } of BINARY_WAYS) {
  test(`${name}: bytes are answered with bytes`, async (context) => {
    const { channel } = await joined(await connected(context, options), unique("room:"));
    const [status, response] = await answer(channel.push("bytes", bytes(1, 2)));
    assert.deepEqual([status, list(response)], ["ok", [1, 2, 3, 4]]);
  });

  test(`${name}: bytes are pushed`, async (context) => {
    const { channel } = await joined(await connected(context, options), unique("room:"));
    const event = once(channel, "bytes_event");
    channel.push("bytes_push");
    assert.deepEqual(list(await event), [0, 1]);
  });

  test(`${name}: bytes are broadcast`, async (context) => {
    const topic = unique("room:");
    const [one, two] = [await joined(await connected(context, options), topic), await joined(await connected(context, options), topic)];
    const shout = once(two.channel, "shout");
    assert.deepEqual(await answer(one.channel.push("shout", bytes(9, 8, 7))), ["ok", {}]);
    assert.deepEqual(list(await shout), [9, 8, 7]);
  });

  test(`${name}: no bytes, all bytes and a mebibyte less a little come back`, async (context) => {
    const { channel } = await joined(await connected(context, options), unique("room:"));
    const payloads = [0, 256, 1024 * 1024 - 1024].map((length) => Uint8Array.from({ length }, (_, at) => at % 256));
    for (const payload of payloads) {
      const [status, response] = await answer(channel.push("echo", payload.buffer));
      assert.equal(status, "ok");
      assert.ok(Buffer.from(response).equals(payload), `${payload.length} bytes`);
    }
  });
}

test("the four layouts are those of the vectors", () =>
  withRaw("/socket", {}, async (raw) => {
    const topic = unique("room:");
    const length = Buffer.byteLength(topic);
    await raw.join(topic, {}, "12");
    raw.socket.send(binaryPush("12", "123", topic, "echo", 0x65, 0x66, 0x67));
    assert.deepEqual(await raw.next(), frame(1, 2, 3, length, 2, "12", "123", topic, "ok", 0x65, 0x66, 0x67));
    raw.send("12", "124", topic, "bytes_push");
    assert.deepEqual(await raw.next(), frame(0, 2, length, 11, "12", topic, "bytes_event", 0, 1));
    raw.socket.send(binaryPush("12", "125", topic, "shout", 0xff));
    const both = [await raw.next(), await raw.next()];
    assert.deepEqual(both.find(Buffer.isBuffer), frame(2, length, 5, topic, "shout", 0xff));
  }));

test("lengths count bytes of UTF-8, up to 255", () =>
  withRaw("/socket", {}, async (raw) => {
    for (const topic of ["room:größe 世界", "room:".padEnd(255, "x")]) {
      await raw.join(topic);
      raw.socket.send(binaryPush("1", "2", topic, "echo", 1));
      assert.deepEqual(await raw.next(), frame(1, 1, 1, Buffer.byteLength(topic), 2, "1", "2", topic, "ok", 1));
    }
  }));

test("a topic that is too long for a binary frame is refused, or its bytes are answered with an error", () =>
  withRaw("/socket", {}, async (raw) => {
    const topic = "room:".padEnd(300, "x");
    raw.send("1", "1", topic, "phx_join");
    let { payload } = await raw.next();
    if (payload.status === "ok") {
      raw.send("1", "2", topic, "bytes");
      ({ payload } = await raw.next());
    }
    assert.equal(payload.status, "error");
    assert.match(JSON.stringify(payload.response), /255/);
  }));

test("bytes with an empty join_ref are stale", () =>
  withRaw("/socket", {}, async (raw) => {
    const topic = unique("room:");
    await raw.join(topic);
    raw.socket.send(binaryPush("", "2", topic, "echo", 1));
    await raw.expectNothing("1", topic);
  }));

for (const [what, data] of [
  ["an unknown kind", frame(9, 1, 1, 1, 1, "1", "2", "t", "e")],
  ["a kind of the server's", frame(1, 1, 1, 1, 1, "1", "2", "t", "e")],
  ["a length beyond the end", frame(0, 1, 1, 200, 1, "1", "2", "t", "e")],
  ["a head that is cut off", frame(0, 1, 1)],
  ["nothing", frame()],
]) {
  test(`a binary frame with ${what} closes the socket with 1011`, () =>
    withRaw("/socket", {}, async (raw) => {
      raw.socket.send(data);
      assert.equal(await raw.closeCode(), 1011);
    }));
}

test("version 1 takes its JSON in a binary frame, too", async () => {
  const { V1 } = await import("../lib/versions.mjs");
  await withRaw("/socket", { version: V1 }, async (raw) => {
    const topic = unique("room:");
    raw.socket.send(Buffer.from(V1.encode({ ref: "1", topic, event: "phx_join", payload: {} })));
    await raw.expectReply("1", "1", topic, "ok", {});
  });
});

test("long-poll: bytes reach the server as a line of base64", async () => {
  const poll = await RawPoll.open("/socket");
  const topic = unique("room:");
  await poll.join(topic);
  const lines = [
    binaryPush("1", "2", topic, "echo", 1, 2).toString("base64"),
    poll.line("1", "3", topic, "echo", { second: true }),
  ];
  assert.deepEqual(await poll.post(lines.join("\n")), { status: 200 });
  // An echo of bytes is bytes, so it was bytes that the server got.
  await poll.expectReply("1", "2", topic, "error", NO_BYTES);
  await poll.expectReply("1", "3", topic, "ok", { second: true });
});

test("long-poll: an answer in bytes becomes an error that says so, and bytes never break it", async (context) => {
  const { options } = WAYS.find((it) => it.name === "long-poll");
  const topic = unique("room:");
  const poll = await joined(await connected(context, options), topic);
  const socket = await joined(await connected(context, { transport: WebSocket }), topic);
  const shout = once(socket.channel, "shout");
  socket.channel.push("shout", bytes(1, 2, 3));
  assert.deepEqual(list(await shout), [1, 2, 3]);
  assert.deepEqual(await answer(poll.channel.push("bytes", bytes(1))), ["error", NO_BYTES]);
  poll.channel.push("bytes_push");
  assert.deepEqual(await answer(poll.channel.push("echo", { alive: true })), ["ok", { alive: true }]);
});

test("bytes may crash a topic as text may", async (context) => {
  const { channel } = await joined(await connected(context), unique("room:"));
  const end = ended(channel);
  channel.push("crash", bytes(1));
  assert.equal(await within("error", end), "error");
});
