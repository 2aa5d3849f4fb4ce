// From WebSockets to the long-poll, where something is in the way.

import assert from "node:assert/strict";
import { test } from "node:test";

import { LongPoll } from "phoenix";
import WebSocket from "ws";

import { answer, connected, joined, once } from "../lib/client.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { STEP_MS, unique } from "../lib/waiting.mjs";

const OPTIONS = { transport: WebSocket, longPollFallbackMs: 500 };

for (const upgrades of ["refuse", "swallow"]) {
  test(`where upgrades are ${upgrades}d the client falls back to the long-poll`, async (context) => {
    const proxy = await Proxy.start(context);
    proxy.upgrades = upgrades;
    const socket = await connected(context, { ...OPTIONS, base: proxy.base });
    const { channel } = await joined(socket, unique("room:"));
    assert.deepEqual(await answer(channel.push("echo", { a: 1 })), ["ok", { a: 1 }]);
    assert.equal(socket.transport, LongPoll);
  });
}

test("where nothing is in the way the client stays with its WebSocket", async (context) => {
  const proxy = await Proxy.start(context);
  const socket = await connected(context, { ...OPTIONS, longPollFallbackMs: STEP_MS, base: proxy.base });
  const { channel } = await joined(socket, unique("room:"));
  assert.deepEqual(await answer(channel.push("echo", { a: 1 })), ["ok", { a: 1 }]);
  assert.equal(socket.transport, WebSocket);
});

test("both ways are in one topic", async (context) => {
  const proxy = await Proxy.start(context);
  proxy.upgrades = "refuse";
  const topic = unique("room:");
  const one = await joined(await connected(context, { ...OPTIONS, base: proxy.base }), topic);
  const two = await joined(await connected(context), topic);
  const heard = [one, two].map(({ channel }) => once(channel, "shout"));
  two.channel.push("shout", { n: 1 });
  assert.deepEqual(await Promise.all(heard), [{ n: 1 }, { n: 1 }]);
});
