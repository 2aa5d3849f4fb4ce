// Which pages may connect: origins by their name.

import assert from "node:assert/strict";
import { test } from "node:test";

import { RawPoll } from "../lib/raw-poll.mjs";
import { refusedWith, withRaw } from "../lib/raw-socket.mjs";
import { unique } from "../lib/waiting.mjs";

for (const [origin, expected] of [
  ["https://good.example", "open"],
  ["http://good.example", 403],
  ["https://good.example:444", 403],
  ["https://good.example.evil.example", 403],
  ["https://evilgood.example", 403],
  ["null", 403],
  ["file://", 403],
]) {
  test(`the origin ${origin} is ${expected === "open" ? "let in" : "refused with 403"}`, async () => {
    const headers = { origin };
    if (expected === "open") await withRaw("/socket", { headers }, (raw) => raw.join(unique("room:")));
    else assert.equal(await refusedWith("/socket", { headers }), expected);
    const { status } = await new RawPoll("/socket", { headers }).get();
    assert.equal(status, expected === "open" ? 410 : expected);
  });
}
