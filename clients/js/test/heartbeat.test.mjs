import assert from "node:assert/strict";
import { test } from "node:test";

import { Heartbeat } from "../build/heartbeat.js";

function beating(context, options = { intervalMs: 100, timeoutMs: 10 }) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const counts = { asked: 0, missed: 0 };
  const ask = () => (counts.asked += 1);
  const missed = () => (counts.missed += 1);
  const heartbeat = new Heartbeat(options, ask, missed);
  const after = (ms) => {
    context.mock.timers.tick(ms);
    return [counts.asked, counts.missed];
  };
  return { heartbeat, after };
}

test("it asks in intervals as long as there are answers", (context) => {
  const { heartbeat, after } = beating(context);
  heartbeat.start();
  assert.deepEqual([after(99), after(1)], [[0, 0], [1, 0]]);
  heartbeat.heard();
  assert.deepEqual([after(99), after(1)], [[1, 0], [2, 0]]);
  assert.deepEqual([after(9), after(1)], [[2, 0], [2, 1]]);
});

test("whoever asks again and again does not put off the end", (context) => {
  const { heartbeat, after } = beating(context);
  heartbeat.askNow();
  assert.deepEqual(after(9), [1, 0]);
  heartbeat.askNow();
  assert.deepEqual(after(1), [1, 1]);
});

test("nothing is asked or missed once it is stopped", (context) => {
  const { heartbeat, after } = beating(context);
  heartbeat.askNow();
  heartbeat.stop();
  assert.deepEqual(after(1_000), [1, 0]);
});

test("nothing said, it asks every 30 s and waits for 10 s", (context) => {
  const { heartbeat, after } = beating(context, {});
  heartbeat.start();
  assert.deepEqual([after(29_999), after(1)], [[0, 0], [1, 0]]);
  assert.deepEqual([after(9_999), after(1)], [[1, 0], [1, 1]]);
});
