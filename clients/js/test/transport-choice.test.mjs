import assert from "node:assert/strict";
import { test } from "node:test";

import { TransportChoice } from "../build/transport-choice.js";

test("one way only stays the only one", () => {
  for (const policy of ["websocket", "longpoll"]) {
    const choice = new TransportChoice(policy);
    for (let at = 0; at < 5; at += 1) choice.failed();
    assert.equal(choice.next, policy);
    assert.equal(choice.isUnproven, false);
  }
});

test("where a WebSocket has never opened, the ways take turns until one does", () => {
  const choice = new TransportChoice("auto");
  const ways = [choice.next];
  for (let at = 0; at < 3; at += 1) {
    choice.failed();
    ways.push(choice.next);
  }
  assert.deepEqual(ways, ["websocket", "longpoll", "websocket", "longpoll"]);
  assert.equal(choice.isUnproven, false);
});

test("where WebSockets have worked, one failure is taken for a server that restarts", () => {
  const choice = new TransportChoice("auto");
  assert.equal(choice.isUnproven, true);
  choice.worked();
  assert.equal(choice.isUnproven, false);
  choice.ended();
  choice.failed();
  choice.failed();
  assert.equal(choice.next, "websocket");
  choice.failed();
  assert.equal(choice.next, "longpoll");
});

test("when a long-poll ends, WebSockets have another chance", () => {
  const choice = new TransportChoice("auto");
  choice.failed();
  choice.worked();
  assert.equal(choice.next, "longpoll");
  choice.ended();
  assert.equal(choice.next, "websocket");
});
