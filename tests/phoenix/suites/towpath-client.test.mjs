// Towpath's own client, on the same server and in the same topics as the other one.

import assert from "node:assert/strict";
import { test } from "node:test";

import WebSocket from "ws";

import { PushError, Socket } from "../../../clients/js/dist/towpath.js";
import { answer, connected, ended, joined, once } from "../lib/client.mjs";
import { QUICK, WAYS, client, inTopic, next } from "../lib/own-client.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { NODES } from "../lib/server.mjs";
import { Inbox, STEP_MS, unique, within } from "../lib/waiting.mjs";

for (const transport of WAYS) {
  test(`${transport}: joins, messages, answers and broadcasts`, async (context) => {
    const topic = unique("room:");
    const socket = client(context, { transport });
    const channel = socket.channel(topic, () => ({ reply: { welcome: 1 } }));
    assert.deepEqual(await answer(channel.join()), ["ok", { welcome: 1 }]);
    assert.deepEqual(await channel.push("echo", { a: "ü" }).reply(), { a: "ü" });
    const failed = channel.push("error", { reason: "no" }).reply();
    await assert.rejects(failed, (error) => error instanceof PushError && error.status === "error" && error.response.reason === "no");
    const other = await joined(await connected(context), topic);
    const heard = [once(channel, "shout"), once(other.channel, "shout")];
    other.channel.push("shout", { n: 1 });
    assert.deepEqual(await Promise.all(heard), [{ n: 1 }, { n: 1 }]);
    assert.equal(socket.transport, transport);
  });

  test(`${transport}: a lost connection is made again, and what was pushed meanwhile goes out`, async (context) => {
    const proxy = await Proxy.start(context);
    const socket = client(context, { transport, base: proxy.base });
    const channels = [await inTopic(socket, unique("room:")), await inTopic(socket, unique("room:"))];
    proxy.takes = false;
    const lost = channels.map((it) => next((hook) => it.onError(hook), "error"));
    proxy.cut();
    await Promise.all(lost);
    const answers = channels.map((it, n) => it.push("echo", { n }).reply());
    proxy.takes = true;
    assert.deepEqual(await Promise.all(answers), [{ n: 0 }, { n: 1 }]);
  });

  test(`${transport}: bytes reach the server`, async (context) => {
    const topic = unique("room:");
    const channel = await inTopic(client(context, { transport }), topic);
    const other = await joined(await connected(context), topic);
    const shout = once(other.channel, "shout");
    channel.push("shout", Uint8Array.of(1, 2, 3));
    assert.deepEqual([...new Uint8Array(await shout)], [1, 2, 3]);
  });

  test(`${transport}: whoever is disconnected by id comes back`, async (context) => {
    const user = unique("user-");
    const socket = client(context, { transport, params: async () => ({ user }) });
    const channel = await inTopic(socket, unique("room:"));
    const closed = next((hook) => socket.onClose(hook), "close");
    channel.push("disconnect", { id: `users:${user}` });
    const [{ code }, returns] = await closed;
    assert.deepEqual([code, returns], [transport === "websocket" ? 1001 : 3410, true]);
    assert.deepEqual(await channel.push("echo", { back: true }).reply(), { back: true });
  });

  test(`${transport}: the auth token reaches the application`, async (context) => {
    const authToken = "SFMyNTY.g2gDbQAAAAR1LTQybgYAAGjlz4sBYgABUYA.7hMNMQzUAMLcYSqu-k0QKgOvtsVgokGhipXtDgNGbFY";
    const channel = await inTopic(client(context, { mount: "/auth", transport, authToken: () => authToken }), unique("room:"));
    const message = once(channel, "new_msg");
    channel.push("new_msg", {});
    assert.equal((await message).seen_by, "u-42");
  });
}

test("bytes come back as bytes", async (context) => {
  const channel = await inTopic(client(context), unique("room:"));
  assert.deepEqual([...new Uint8Array(await channel.push("bytes", Uint8Array.of(1)).reply())], [1, 3, 4]);
  const event = once(channel, "bytes_event");
  channel.push("bytes_push");
  assert.deepEqual([...new Uint8Array(await event)], [0, 1]);
});

/**
 * Breaks off the connection and waits for the next, until that is a WebSocket: an attempt
 * that takes too long, as on a busy machine, is followed by one by long-poll.
 */
async function backOnWebSocket(socket, proxy) {
  do {
    const closed = next((hook) => socket.onClose(hook), "close");
    const reopened = next((hook) => socket.onOpen(hook), "open connection");
    await Promise.all([proxy.breakOff(closed), reopened]);
  } while (socket.transport !== "websocket");
}

for (const upgrades of ["refuse", "swallow"]) {
  test(`a proxy that does not let WebSockets through (${upgrades}) leads to the long-poll`, async (context) => {
    const proxy = await Proxy.start(context);
    proxy.upgrades = upgrades;
    const socket = client(context, { base: proxy.base, openTimeoutMs: 300 });
    const channel = await inTopic(socket, unique("room:"));
    assert.deepEqual(await channel.push("echo", { a: 1 }).reply(), { a: 1 });
    assert.equal(socket.transport, "longpoll");
    proxy.upgrades = "pass";
    await within("WebSocket", backOnWebSocket(socket, proxy));
  });
}

test("a server that was away for a moment does not lead to the long-poll", async (context) => {
  const proxy = await Proxy.start(context);
  const socket = client(context, { base: proxy.base });
  const channel = await inTopic(socket, unique("room:"));
  proxy.takes = false;
  const failed = new Inbox();
  socket.onClose((closed) => failed.add(closed));
  proxy.cut();
  await failed.next();
  await failed.next();
  proxy.takes = true;
  assert.deepEqual(await channel.push("echo", { a: 1 }).reply(), { a: 1 });
  assert.equal(socket.transport, "websocket");
});

test("a crash ends its topic alone, and it is joined again", async (context) => {
  const socket = client(context);
  const [one, two] = [await inTopic(socket, unique("room:")), await inTopic(socket, unique("room:"))];
  await two.push("set", { value: "kept" }).reply();
  const end = ended(one);
  one.push("crash");
  assert.equal(await end, "error");
  assert.deepEqual(await one.push("get").reply(), { value: null });
  assert.deepEqual(await two.push("get").reply(), { value: "kept" });
});

test("a topic that the server ends is closed and stays so", async (context) => {
  const channel = await inTopic(client(context), unique("room:"));
  const end = ended(channel);
  channel.push("stop");
  assert.equal(await end, "close");
  assert.equal(channel.state, "closed");
  assert.deepEqual(await answer(channel.push("echo")), ["error", { reason: "the channel is closed" }]);
});

test("a join that times out is left and tried again", async (context) => {
  const socket = client(context);
  const gate = unique("gate-");
  let joins = 0;
  const channel = socket.channel(unique("room:"), () => ((joins += 1) === 1 ? { gate } : {}));
  const states = new Inbox();
  const join = channel.join(300);
  for (const status of ["ok", "timeout"]) join.receive(status, () => states.add(status));
  assert.equal(await states.next(), "timeout");
  const other = await inTopic(socket, unique("room:"));
  await other.push("open_gate", { name: gate }).reply();
  while ((await states.next()) !== "ok");
  // The channel's own timeout is that of the join.
  assert.deepEqual(await channel.push("echo", { a: 1 }, STEP_MS).reply(), { a: 1 });
});

test("a refused join is tried again until the channel leaves", async (context) => {
  const socket = client(context);
  const refusals = new Inbox();
  const channel = socket.channel(unique("room:"), { refuse: { reason: "full" } });
  channel.join().receive("error", (response) => refusals.add(response));
  assert.deepEqual([await refusals.next(), await refusals.next()], [{ reason: "full" }, { reason: "full" }]);
  channel.leave();
  assert.equal(channel.state, "closed");
});

test("more than may wait is answered with an error at once", async (context) => {
  const socket = new Socket(NODES[0], { ...QUICK, waitingMax: 2 });
  const channel = socket.channel(unique("room:"));
  channel.join();
  const [, , third] = [1, 2, 3].map((n) => channel.push("echo", { n }));
  assert.deepEqual(await answer(third), ["error", { reason: "more than 2 messages wait for a connection" }]);
  channel.leave();
});

test("of two channels with one topic the last wins", async (context) => {
  const socket = client(context);
  const topic = unique("room:");
  const first = await inTopic(socket, topic);
  const end = ended(first);
  const second = await inTopic(socket, topic);
  assert.equal(await end, "close");
  assert.deepEqual(await second.push("echo", { a: 1 }).reply(), { a: 1 });
});

test("a push without an answer times out, and one whose connection is lost does so at once", async (context) => {
  const proxy = await Proxy.start(context);
  const channel = await inTopic(client(context, { base: proxy.base }), unique("room:"));
  assert.deepEqual(await answer(channel.push("nothing", {}, 100)), ["timeout", {}]);
  const lost = answer(channel.push("nothing", {}, 60_000));
  proxy.cut();
  assert.deepEqual(await lost, ["timeout", {}]);
});
