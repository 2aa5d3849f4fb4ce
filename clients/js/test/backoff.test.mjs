import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../build/backoff.js";
import { Budget } from "../build/budget.js";
import { Channel } from "../build/channel.js";

const waits = (backoff, count) => Array.from({ length: count }, () => backoff.next());

test("the ceiling doubles up to the longest wait", () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 1000, random: () => 0.999999 });
  assert.deepEqual(waits(backoff, 6), [99, 199, 399, 799, 999, 999]);
});

test("the jitter is full: a wait may be nothing", () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 1000, random: () => 0 });
  assert.deepEqual(waits(backoff, 3), [0, 0, 0]);
});

test("waits of many clients are spread over the whole time", () => {
  const first = Array.from({ length: 1000 }, () => new Backoff({ baseMs: 1000, maxMs: 9000 }).next());
  for (let tenth = 0; tenth < 10; tenth += 1) {
    const count = first.filter((it) => Math.floor(it / 100) === tenth).length;
    assert.ok(count > 40, `${count} of 1000 in tenth ${tenth}`);
  }
});

test("after a success the first wait is short again", () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 1000, random: () => 0.5 });
  waits(backoff, 5);
  backoff.reset();
  assert.equal(backoff.next(), 50);
});

test("a thousand failures do not overflow", () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 30_000, random: () => 0.5 });
  assert.equal(waits(backoff, 1000).at(-1), 15_000);
});

/** A channel that is joined, how often it said that this has worked, and what it hears of its topic. */
function joinedWith(stableMs) {
  let refs = 0;
  let resets = 0;
  const backoff = new (class extends Backoff {
    reset() {
      resets += 1;
    }
  })({ baseMs: 60_000, maxMs: 60_000, random: () => 0.5 });
  const channel = new Channel("room:1", {}, {
    isOpen: true,
    timeoutMs: 60_000,
    stableMs,
    waiting: new Budget(1),
    nextRef: () => String((refs += 1)),
    rejoinBackoff: () => backoff,
    send: () => true,
    takeTopic: () => {},
    forget: () => {},
  });
  channel.join();
  const receive = (event, payload) => channel.received({ joinRef: "1", ref: "1", topic: "room:1", event, payload });
  receive("phx_reply", { status: "ok", response: {} });
  return { channel, receive, resets: () => resets };
}

for (const [what, stableMs, count] of [["holds", 0, 1], ["crashes at once", 60_000, 0]]) {
  test(`a topic that ${what} after its join resets its backoff ${count} times`, () => {
    const { channel, receive, resets } = joinedWith(stableMs);
    assert.deepEqual([channel.state, resets()], ["joined", 0]);
    receive("phx_error", {});
    assert.deepEqual([channel.state, resets()], ["errored", count]);
    channel.leave();
  });
}
