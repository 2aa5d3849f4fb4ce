import assert from "node:assert/strict";
import { test } from "node:test";

import WebSocket from "ws";

import { Socket } from "../dist/towpath.js";
import { Inbox, Server } from "./lib/server.mjs";

const TOPIC = "room:1";

const QUICK = { WebSocket, reconnectBaseMs: 10, reconnectMaxMs: 20, rejoinBaseMs: 10, rejoinMaxMs: 20 };
const CLOSED = { reason: "the channel is closed" };

/** A channel that is joining, the connection that it joins over, and what it hears. */
async function joining(context, { params = {}, timeoutMs, ...options } = {}) {
  const server = await Server.start(context);
  const socket = new Socket(server.address, { ...QUICK, ...options });
  context.after(() => socket.disconnect());
  const channel = socket.channel(TOPIC, params);
  const heard = new Inbox();
  const join = channel.join(timeoutMs);
  for (const status of ["ok", "error", "timeout"]) join.receive(status, (response) => heard.add([status, response]));
  channel.onError(() => heard.add(["lost"]));
  channel.onClose(() => heard.add(["closed"]));
  channel.onResync(() => heard.add(["resync"]));
  socket.connect();
  return { server, socket, channel, join, heard, connection: await server.connection() };
}

/** How a push ends that was not answered with `ok`. */
async function refusal(push) {
  const answers = new Inbox();
  push.reply().then(() => answers.add({ status: "ok" }), (error) => answers.add(error));
  const { status, response } = await answers.next("answer");
  return [status, response];
}

test("params of a join are made when it is sent, not before there is a connection", async (context) => {
  let made = 0;
  const { connection } = await joining(context, { params: () => ({ made: (made += 1) }) });
  assert.deepEqual((await connection.message()).payload, { made: 1 });
});

test("the end of a join that timed out is not the end of its channel", async (context) => {
  const { connection, heard } = await joining(context, { timeoutMs: 2_000 });
  const first = await connection.message();
  const leave = await connection.message();
  assert.deepEqual([leave.event, leave.joinRef], ["phx_leave", first.ref]);
  connection.reply(first, "ok");
  connection.reply(leave, "ok");
  connection.send([first.ref, first.ref, TOPIC, "phx_close", {}]);
  const second = await connection.message();
  assert.equal(second.event, "phx_join");
  connection.reply(second, "ok", { n: 2 });
  assert.deepEqual([await heard.next(), await heard.next()], [["timeout", {}], ["ok", { n: 2 }]]);
});

test("what belongs to another join is not heard, what belongs to none is", async (context) => {
  const { channel, connection, heard } = await joining(context);
  const join = await connection.message();
  connection.reply(join, "ok");
  channel.on("news", (payload) => heard.add(payload));
  connection.send(["another", null, TOPIC, "news", { n: 1 }]);
  connection.send(["another", "another", TOPIC, "phx_close", {}]);
  connection.send([null, null, TOPIC, "news", { n: 2 }]);
  connection.send([join.ref, null, TOPIC, "news", { n: 3 }]);
  assert.deepEqual([await heard.next(), await heard.next(), await heard.next()], [["ok", {}], { n: 2 }, { n: 3 }]);
});

test("a topic that the server does not know any more is joined again", async (context) => {
  const { channel, connection, heard } = await joining(context);
  connection.reply(await connection.message(), "ok");
  await heard.next();
  const answered = channel.push("echo").reply().catch((error) => error.response);
  const push = await connection.message();
  connection.reply({ ...push, joinRef: null }, "error", { reason: "unmatched topic" });
  assert.deepEqual(await answered, { reason: "unmatched topic" });
  assert.deepEqual(await heard.next(), ["lost"]);
  connection.reply(await connection.message(), "ok");
  assert.deepEqual(await heard.next(), ["ok", {}]);
});

test("the last message that was seen goes with the next join, and only a resync moves it back", async (context) => {
  const { connection, server, heard } = await joining(context, { params: { user: "ann" } });
  const first = await connection.message();
  assert.deepEqual(first.payload, { user: "ann" });
  connection.reply(first, "ok", { last_seen_id: "e-1" });
  connection.send([null, null, TOPIC, "said", { last_seen_id: "e-2" }]);
  connection.socket.close(1012);
  const again = await server.connection();
  const second = await again.message();
  assert.deepEqual(second.payload, { user: "ann", last_seen_id: "e-2" });
  again.reply(second, "ok", { last_seen_id: "f-1", resync: true });
  while ((await heard.next())[0] !== "resync");
  again.socket.close(1012);
  const third = await (await server.connection()).message();
  assert.equal(third.payload.last_seen_id, "f-1");
});

test("what waits for longer than its timeout is not sent", async (context) => {
  const { channel, connection, heard } = await joining(context);
  const join = await connection.message();
  const timedOut = new Promise((resolve) => channel.push("old", {}, 20).receive("timeout", resolve));
  channel.push("new", {});
  await timedOut;
  connection.reply(join, "ok");
  await heard.next();
  assert.equal((await connection.message()).event, "new");
});

test("a listener that throws stops nobody else", async (context) => {
  const { channel, connection, heard } = await joining(context);
  const uncaught = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
  context.after(() => process.setUncaughtExceptionCaptureCallback(null));
  channel.on("news", () => {
    throw new Error("mine");
  });
  channel.on("news", () => heard.add("second"));
  connection.reply(await connection.message(), "ok");
  connection.send([null, null, TOPIC, "news", {}]);
  assert.equal((await uncaught).message, "mine");
  assert.deepEqual([await heard.next(), await heard.next()], [["ok", {}], "second"]);
});

test("off takes away one callback, or all of an event", async (context) => {
  const { channel, connection, heard } = await joining(context);
  const one = () => heard.add("one");
  channel.on("news", one);
  const stop = channel.on("news", () => heard.add("two"));
  channel.on("news", () => heard.add("three"));
  channel.off("news", one);
  stop();
  channel.on("other", () => heard.add("other"));
  channel.off("other");
  connection.reply(await connection.message(), "ok");
  for (const event of ["other", "news"]) connection.send([null, null, TOPIC, event, {}]);
  assert.deepEqual([await heard.next(), await heard.next()], [["ok", {}], "three"]);
});

test("a push that timed out leaves its room to another", async (context) => {
  const { channel, connection } = await joining(context, { waitingMax: 2 });
  const join = await connection.message();
  const [first, second, third] = [20, 20, 5_000].map((timeoutMs, n) => channel.push("news", { n }, timeoutMs));
  assert.deepEqual(await refusal(third), ["error", { reason: "more than 2 messages wait for a connection" }]);
  assert.deepEqual([await refusal(first), await refusal(second)], [["timeout", {}], ["timeout", {}]]);
  channel.push("late", {});
  connection.reply(join, "ok");
  assert.equal((await connection.message()).event, "late");
});

test("what waits goes out before what is pushed when the join is answered", async (context) => {
  const { channel, connection, join } = await joining(context);
  join.receive("ok", () => channel.push("second"));
  channel.push("first");
  connection.reply(await connection.message(), "ok");
  assert.deepEqual([(await connection.message()).event, (await connection.message()).event], ["first", "second"]);
});

test("a payload that cannot be written is an error of its push alone", async (context) => {
  const { channel, connection, heard } = await joining(context);
  const waiting = channel.push("big", { n: 1n });
  channel.push("next");
  connection.reply(await connection.message(), "ok");
  assert.match((await refusal(waiting))[1].reason, /BigInt/);
  assert.deepEqual(await heard.next(), ["ok", {}]);
  assert.equal((await connection.message()).event, "next");
  assert.match((await refusal(channel.push("e".repeat(256), Uint8Array.of(1))))[1].reason, /255 bytes/);
});

test("params of a join that cannot be made are a failed join, and stop no other channel", async (context) => {
  let made = 0;
  const params = () => {
    made += 1;
    if (made === 1) throw new Error("no token");
    return { made };
  };
  const server = await Server.start(context);
  const socket = new Socket(server.address, QUICK);
  context.after(() => socket.disconnect());
  const failed = socket.channel("room:1", params).join();
  socket.channel("room:2").join();
  socket.connect();
  assert.deepEqual(await refusal(failed), ["error", { reason: "Error: no token" }]);
  const connection = await server.connection();
  assert.equal((await connection.message()).topic, "room:2");
  const again = await connection.message();
  assert.deepEqual([again.topic, again.payload], ["room:1", { made: 2 }]);
});

for (const [what, end] of [
  ["leaves", ({ channel }) => channel.leave()],
  ["is closed by the server", ({ connection, ref }) => connection.send([ref, ref, TOPIC, "phx_close", {}])],
]) {
  test(`the join of a channel that ${what} is answered`, async (context) => {
    const { channel, connection, join, heard } = await joining(context);
    const { ref } = await connection.message();
    end({ channel, connection, ref });
    assert.deepEqual(await refusal(join), ["error", CLOSED]);
    assert.deepEqual(await heard.next(), ["error", CLOSED]);
  });
}

test("a join that waits for a connection is answered when its channel leaves", async () => {
  const channel = new Socket("ws://127.0.0.1:9", QUICK).channel(TOPIC);
  const join = channel.join();
  const waiting = channel.push("news");
  assert.deepEqual(await channel.leave().reply(), {});
  assert.deepEqual([await refusal(join), await refusal(waiting)], [["error", CLOSED], ["error", CLOSED]]);
});

test("whoever leaves twice leaves once", async (context) => {
  const { channel, connection, heard } = await joining(context);
  connection.reply(await connection.message(), "ok");
  await heard.next();
  const leave = channel.leave();
  assert.equal(channel.leave(), leave);
  connection.reply(await connection.message(), "ok");
  assert.deepEqual([await leave.reply(), await heard.next()], [{}, ["closed"]]);
  channel.leave();
  assert.equal(heard.length, 0);
});

test("a channel that will be joined again ends when another one takes its topic", async (context) => {
  const { socket, connection, heard } = await joining(context);
  connection.reply(await connection.message(), "error", { reason: "full" });
  assert.equal((await heard.next())[0], "error");
  const second = socket.channel(TOPIC);
  const join = second.join();
  assert.deepEqual(await heard.next(), ["closed"]);
  let message = await connection.message();
  // It may have been tried once more before.
  if (message.ref !== second.joinRef) message = await connection.message();
  connection.reply({ ...message, joinRef: second.joinRef, ref: second.joinRef }, "ok", { n: 2 });
  assert.deepEqual(await join.reply(), { n: 2 });
  second.push("last");
  while ((message = await connection.message()).event !== "last") assert.notEqual(message.event, "phx_join");
});

test("what is said to all before the join is answered is neither heard nor seen", async (context) => {
  const { channel, connection, join } = await joining(context);
  const seen = new Inbox();
  join.receive("ok", () => seen.add(["joined", channel.lastSeenId]));
  channel.on("said", () => seen.add(["said", channel.lastSeenId]));
  const message = await connection.message();
  connection.send([null, null, TOPIC, "said", { last_seen_id: "e-9" }]);
  connection.reply(message, "ok", { last_seen_id: "e-7" });
  connection.send([null, null, TOPIC, "said", { last_seen_id: "e-8" }]);
  assert.deepEqual([await seen.next(), await seen.next()], [["joined", "e-7"], ["said", "e-8"]]);
});

test("whoever disconnects when a channel is lost does not hear that it comes back", async (context) => {
  const { socket, channel, connection, heard } = await joining(context);
  const closes = new Inbox();
  socket.onClose((_, returns) => closes.add(returns));
  channel.onError(() => socket.disconnect());
  connection.reply(await connection.message(), "ok");
  await heard.next();
  connection.socket.close(1012);
  assert.deepEqual([await closes.next(), await closes.next()], [false, false]);
});
