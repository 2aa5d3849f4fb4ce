// Which pages may connect: origins by patterns.

import assert from "node:assert/strict";
import { test } from "node:test";

import { RawPoll } from "../lib/raw-poll.mjs";
import { refusedWith, withRaw } from "../lib/raw-socket.mjs";
import { unique } from "../lib/waiting.mjs";

for (const [origin, expected] of [
  ["https://trusted.example", "open"],
  ["https://a.b.trusted.example", "open"],
  ["http://a.trusted.example:8080", "open"],
  ["http://localhost:12345", "open"],
  ["https://nottrusted.example", 403],
  ["https://trusted.example.evil.example", 403],
]) {
  test(`the origin ${origin} is ${expected === "open" ? "let in" : "refused with 403"}`, async () => {
    const headers = { origin };
    if (expected === "open") await withRaw("/socket", { headers }, (raw) => raw.join(unique("room:")));
    else assert.equal(await refusedWith("/socket", { headers }), expected);
    const { status } = await new RawPoll("/socket", { headers }).get();
    assert.equal(status, expected === "open" ? 410 : expected);
  });
}
