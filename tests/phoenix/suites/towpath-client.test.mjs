// Towpath's own client, on the same server and in the same topics as the other one.

import assert from "node:assert/strict";
import { test } from "node:test";

import WebSocket from "ws";

import { Presence, PushError, Socket } from "../../../clients/js/dist/towpath.js";
import { answer, connected, ended, joined, once } from "../lib/client.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { NODES } from "../lib/server.mjs";
import { Inbox, unique, within } from "../lib/waiting.mjs";

const QUICK = { WebSocket, reconnectBaseMs: 20, reconnectMaxMs: 40, rejoinBaseMs: 20, rejoinMaxMs: 40 };
const WAYS = ["websocket", "longpoll"];

/** A client that ends with the test. */
function client(context, { mount = "/socket", base = NODES[0], ...options } = {}) {
  const socket = new Socket(`${base}${mount}`, { ...QUICK, ...options });
  context.after(() => socket.disconnect());
  socket.connect();
  return socket;
}

async function inTopic(socket, topic, params = {}) {
  const channel = socket.channel(topic, params);
  assert.equal((await answer(channel.join()))[0], "ok");
  return channel;
}

/** The next time that it is so. */
function next(hook, what) {
  return within(what, new Promise((resolve) => hook((...parts) => resolve(parts))));
}

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

  test(`${transport}: what was missed is caught up without a word of the application's`, async (context) => {
    const proxy = await Proxy.start(context);
    const topic = unique("history:");
    const writer = await inTopic(client(context), topic);
    const channel = await inTopic(client(context, { transport, base: proxy.base }), topic);
    const said = new Inbox();
    channel.on("said", ({ n }) => said.add(n));
    channel.onResync(() => said.add("resync"));
    await writer.push("say", { n: 1 }).reply();
    assert.equal(await said.next(), 1);
    proxy.takes = false;
    const lost = next((hook) => channel.onError(hook), "error");
    proxy.cut();
    await lost;
    for (const n of [2, 3, 4]) await writer.push("say", { n }).reply();
    proxy.takes = true;
    for (const n of [2, 3, 4]) assert.equal(await said.next(), n);
    await writer.push("say", { n: 5 }).reply();
    assert.equal(await said.next(), 5);
    assert.equal(said.length, 0);
  });

  test(`${transport}: a larger gap than the history is told`, async (context) => {
    const proxy = await Proxy.start(context);
    const topic = unique("history:");
    const writer = await inTopic(client(context), topic);
    const channel = await inTopic(client(context, { transport, base: proxy.base }), topic);
    const resync = next((hook) => channel.onResync(hook), "resync");
    const lost = next((hook) => channel.onError(hook), "error");
    await writer.push("say", { n: 0 }).reply();
    proxy.takes = false;
    proxy.cut();
    await lost;
    for (let n = 1; n <= 8; n += 1) await writer.push("say", { n }).reply();
    proxy.takes = true;
    const [response] = await resync;
    assert.equal(response.resync, true);
    assert.equal(channel.lastSeenId === null, false);
  });

  test(`${transport}: presence is the same in both clients`, async (context) => {
    const topic = unique("presence:");
    const channel = client(context, { transport }).channel(topic, { key: "ann", meta: { tab: 1 } });
    const presence = new Presence(channel);
    const syncs = new Inbox();
    presence.onSync(() => syncs.add(presence.list((key, { metas }) => `${key} ${metas.length}`).toSorted().join(", ")));
    await answer(channel.join());
    const other = await joined(await connected(context), topic, { key: "bob", meta: {} });
    while ((await syncs.next()) !== "ann 1, bob 1");
    await answer(other.channel.leave());
    while ((await syncs.next()) !== "ann 1");
    assert.equal(presence.state.get("ann").metas[0].tab, 1);
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

for (const upgrades of ["refuse", "swallow"]) {
  test(`a proxy that does not let WebSockets through (${upgrades}) leads to the long-poll`, async (context) => {
    const proxy = await Proxy.start(context);
    proxy.upgrades = upgrades;
    const socket = client(context, { base: proxy.base, openTimeoutMs: 300 });
    const channel = await inTopic(socket, unique("room:"));
    assert.deepEqual(await channel.push("echo", { a: 1 }).reply(), { a: 1 });
    assert.equal(socket.transport, "longpoll");
    proxy.upgrades = "pass";
    const reopened = next((hook) => socket.onOpen(hook), "open connection");
    proxy.cut();
    await reopened;
    assert.equal(socket.transport, "websocket");
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
  assert.deepEqual(await channel.push("echo", { a: 1 }).reply(), { a: 1 });
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

test("heartbeats keep a connection that is otherwise silent", async (context) => {
  const frames = new Inbox();
  class Counted extends WebSocket {
    constructor(...parts) {
      super(...parts);
      this.addEventListener("message", () => frames.add(null));
    }
  }
  const socket = client(context, { mount: "/quiet", heartbeatMs: 100, transport: "websocket", WebSocket: Counted });
  const channel = await inTopic(socket, unique("room:"));
  let closes = 0;
  socket.onClose(() => (closes += 1));
  // Twelve answers are more than twice the time after which a quiet client is closed.
  for (let beat = 0; beat < 12; beat += 1) await frames.next();
  assert.equal(closes, 0);
  assert.deepEqual(await channel.push("echo", {}).reply(), {});
});
