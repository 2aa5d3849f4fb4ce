import assert from "node:assert/strict";
import { test } from "node:test";

import { decode, encode } from "../build/codec.js";
import { FrameError } from "../build/message.js";

const BYTES = Uint8Array.of(0x65, 0x66, 0x67);
const PUSH = { joinRef: "12", ref: "123", topic: "topic", event: "event", payload: BYTES };

/** Numbers are bytes, strings are their UTF-8. */
function frame(...parts) {
  const bytes = parts.flatMap((it) => (typeof it === "number" ? [it] : [...new TextEncoder().encode(it)]));
  return Uint8Array.from(bytes).buffer;
}

test("a message is the array of version 2", () => {
  const message = { joinRef: "1", ref: "2", topic: "room:1", event: "phx_join", payload: { token: "x" } };
  assert.equal(encode(message), '["1","2","room:1","phx_join",{"token":"x"}]');
});

test("an array of version 2 is a message", () => {
  const message = { joinRef: null, ref: null, topic: "room:1", event: "new_msg", payload: { a: 1 } };
  assert.deepEqual(decode('[null,null,"room:1","new_msg",{"a":1},"later"]'), message);
});

test("a client's push is laid out as the vector says", () => {
  assert.deepEqual(encode(PUSH), frame(0, 2, 3, 5, 5, "12", "123", "topic", "event", 0x65, 0x66, 0x67));
});

test("any view of bytes is sent as bytes", () => {
  const inside = new Uint8Array(Uint8Array.of(1, 0x65, 0x66, 0x67, 2).buffer, 1, 3);
  const expected = encode(PUSH);
  for (const payload of [inside, BYTES.buffer, new DataView(inside.buffer, 1, 3)]) {
    assert.deepEqual(encode({ ...PUSH, payload }), expected);
  }
});

test("a server's push, reply and broadcast are read as the vectors say", () => {
  const payload = BYTES.buffer;
  assert.deepEqual(decode(frame(0, 2, 5, 5, "12", "topic", "event", 0x65, 0x66, 0x67)), { ...PUSH, ref: null, payload });
  assert.deepEqual(decode(frame(1, 2, 3, 5, 2, "12", "123", "topic", "ok", 0x65, 0x66, 0x67)), {
    ...PUSH,
    event: "phx_reply",
    payload: { status: "ok", response: payload },
  });
  assert.deepEqual(decode(frame(2, 5, 5, "topic", "event", 0x65, 0x66, 0x67)), {
    ...PUSH,
    joinRef: null,
    ref: null,
    payload,
  });
});

test("lengths count bytes of UTF-8", () => {
  const topic = "größe:世界";
  const length = new TextEncoder().encode(topic).length;
  const sent = new Uint8Array(encode({ ...PUSH, topic }));
  assert.equal(sent[3], length);
  assert.equal(decode(frame(2, length, 1, topic, "e", 1)).topic, topic);
});

test("255 bytes of topic go before bytes, 256 do not", () => {
  assert.equal(new Uint8Array(encode({ ...PUSH, topic: "t".repeat(255) }))[3], 255);
  assert.throws(() => encode({ ...PUSH, topic: "t".repeat(256) }), RangeError);
});

test("what is not of the protocol is refused", () => {
  const frames = ["", "{}", '["1","1","topic","event"]', '[null,null,1,"event",{}]', "[1,null,\"t\",\"e\",{}]"];
  const bytes = [frame(), frame(3, 1, 1, "ab"), frame(2, 5), frame(2, 5, 5, "topic", "even"), frame(0, 2, 3)];
  for (const it of [...frames, ...bytes]) assert.throws(() => decode(it), FrameError, JSON.stringify(it));
});
