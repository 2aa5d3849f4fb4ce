import assert from "node:assert/strict";
import { test } from "node:test";

import WebSocket from "ws";

import { Socket } from "../dist/towpath.js";
import { Inbox, Server } from "./lib/server.mjs";

const TOPIC = "room:1";

/** A channel that is joining, the connection that it joins over, and what it hears. */
async function joining(context, { params = {}, timeoutMs } = {}) {
  const server = await Server.start(context);
  const socket = new Socket(server.address, { WebSocket, reconnectBaseMs: 10, reconnectMaxMs: 20, rejoinBaseMs: 10, rejoinMaxMs: 20 });
  context.after(() => socket.disconnect());
  const channel = socket.channel(TOPIC, params);
  const heard = new Inbox();
  const join = channel.join(timeoutMs);
  for (const status of ["ok", "error", "timeout"]) join.receive(status, (response) => heard.add([status, response]));
  channel.onError(() => heard.add(["lost"]));
  channel.onClose(() => heard.add(["closed"]));
  channel.onResync(() => heard.add(["resync"]));
  socket.connect();
  return { server, socket, channel, heard, connection: await server.connection() };
}

test("params of a join are made when it is sent, not before there is a connection", async (context) => {
  let made = 0;
  const { connection } = await joining(context, { params: () => ({ made: (made += 1) }) });
  assert.deepEqual((await connection.message()).payload, { made: 1 });
});

test("the end of a join that timed out is not the end of its channel", async (context) => {
  const { connection, heard } = await joining(context, { timeoutMs: 50 });
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
