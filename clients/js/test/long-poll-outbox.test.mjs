import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeBase64, encodeBase64, encodeBase64Url } from "../build/base64.js";
import { LongPollOutbox } from "../build/long-poll-outbox.js";

test("150 frames go with two requests, in order", () => {
  const outbox = new LongPollOutbox();
  for (let at = 0; at < 150; at += 1) outbox.add(`[${at}]`);
  const batches = [outbox.batch(), outbox.batch()].map((it) => it.split("\n"));
  assert.deepEqual(batches.map((it) => it.length), [100, 50]);
  assert.deepEqual(batches.flat(), Array.from({ length: 150 }, (_, at) => `[${at}]`));
  assert.ok(outbox.isEmpty);
  assert.equal(outbox.bytes, 0);
});

test("a batch is not larger than a million bytes, unless it is one frame", () => {
  const outbox = new LongPollOutbox();
  for (const size of [700_000, 700_000, 3_000_000]) outbox.add("x".repeat(size));
  assert.deepEqual([outbox.batch(), outbox.batch(), outbox.batch()].map((it) => it.length), [700_000, 700_000, 3_000_000]);
});

test("its size is that of UTF-8 with the ends of the lines", () => {
  const outbox = new LongPollOutbox();
  for (let at = 0; at < 4; at += 1) outbox.add("世".repeat(100_000));
  assert.equal(outbox.bytes, 4 * 300_001);
  const bytes = [outbox.batch(), outbox.batch()].map((it) => Buffer.byteLength(it));
  assert.deepEqual(bytes, [3 * 300_001 - 1, 300_000]);
  for (const size of [499_999, 500_000]) outbox.add("x".repeat(size));
  assert.equal(outbox.batch().length, 499_999);
});

test("what is dropped does not wait any more", () => {
  const outbox = new LongPollOutbox();
  outbox.add("[1]");
  outbox.clear();
  assert.deepEqual([outbox.isEmpty, outbox.bytes], [true, 0]);
});

test("bytes go as a line of base64", () => {
  const outbox = new LongPollOutbox();
  const bytes = Uint8Array.from({ length: 20_000 }, (_, at) => at % 256);
  outbox.add(bytes.buffer);
  const line = outbox.batch();
  assert.equal(line, Buffer.from(bytes).toString("base64"));
  assert.deepEqual(new Uint8Array(decodeBase64(line)), bytes);
});

test("a token in base64 may stand in a header", () => {
  const token = "a?b>c~ü";
  assert.equal(encodeBase64Url(token), Buffer.from(token).toString("base64url"));
  assert.equal(encodeBase64(new Uint8Array()), "");
});
