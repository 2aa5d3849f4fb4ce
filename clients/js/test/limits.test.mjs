import assert from "node:assert/strict";
import { test } from "node:test";

import { Budget } from "../build/budget.js";
import { FrameQueue } from "../build/frame-queue.js";
import { Push } from "../build/push.js";
import { WaitingPushes } from "../build/waiting-pushes.js";

test("a budget gives out no more than it has", () => {
  const budget = new Budget(2);
  assert.deepEqual([budget.take(), budget.take(), budget.take()], [true, true, false]);
  budget.give(1);
  assert.deepEqual([budget.take(), budget.take()], [true, false]);
});

test("a queue of frames is bounded by count and by size", () => {
  const queue = new FrameQueue(3, 10);
  assert.deepEqual(["1234", "567", "89012", new ArrayBuffer(3), ""].map((it) => queue.add(it)), [true, true, false, true, false]);
  assert.equal(queue.take().length, 3);
  assert.ok(queue.add("1234567890"));
});

test("pushes that wait give their room back, each once", () => {
  const budget = new Budget(2);
  const [one, other] = [new WaitingPushes(budget), new WaitingPushes(budget)];
  const [first, second] = [new Push("first"), new Push("second")];
  assert.deepEqual([one.add(first, 1), other.add(second, 2), one.add(first, 3)], [true, true, false]);
  one.remove(second);
  assert.equal(budget.take(), false);
  one.remove(first);
  one.remove(first);
  assert.deepEqual([one.take(), other.take()], [[], [{ push: second, payload: 2 }]]);
  assert.deepEqual([budget.take(), budget.take(), budget.take()], [true, true, false]);
});
