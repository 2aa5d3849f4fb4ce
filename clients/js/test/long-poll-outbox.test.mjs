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
  assert.equal(outbox.size, 0);
});

test("a batch is not larger than a mebibyte, unless it is one frame", () => {
  const outbox = new LongPollOutbox();
  for (const size of [700_000, 700_000, 3_000_000]) outbox.add("x".repeat(size));
  assert.deepEqual([outbox.batch(), outbox.batch(), outbox.batch()].map((it) => it.length), [700_000, 700_000, 3_000_000]);
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
