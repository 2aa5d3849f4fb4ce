import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";

import WebSocket from "ws";

import { PlainSocket } from "../dist/towpath.js";
import { Inbox, Server } from "./lib/server.mjs";

const QUICK = { WebSocket, reconnectBaseMs: 10, reconnectMaxMs: 20 };

/** A socket that ends with the test, and what it hears. */
function open(context, address, options = {}) {
  const socket = new PlainSocket(address, { ...QUICK, ...options });
  const heard = { messages: new Inbox(), opens: new Inbox(), closes: new Inbox(), resyncs: new Inbox(), errors: new Inbox() };
  socket.onMessage((it) => heard.messages.add(it));
  socket.onOpen(() => heard.opens.add(null));
  socket.onClose((closed, returns) => heard.closes.add({ ...closed, returns }));
  socket.onResync((it) => heard.resyncs.add(it));
  socket.onError((it) => heard.errors.add(it));
  context.after(() => socket.disconnect());
  socket.connect();
  return { socket, ...heard };
}

test("JSON and bytes go to and fro", async (context) => {
  const server = await Server.start(context);
  const { socket, messages } = open(context, server.address, { params: { name: "ann" } });
  const connection = await server.connection();
  assert.equal(connection.query.get("name"), "ann");
  connection.send({ hello: "ü" });
  assert.deepEqual(await messages.next(), { hello: "ü" });
  connection.socket.send(Buffer.of(1, 2));
  assert.deepEqual(new Uint8Array(await messages.next()), Uint8Array.of(1, 2));
  assert.ok(socket.send([1, null]));
  assert.deepEqual(await connection.frame(), [1, null]);
  assert.ok(socket.send(Uint8Array.of(7)));
  assert.deepEqual([...(await connection.frame())], [7]);
});

test("what is sent before the connection is there goes out in order, as much as may wait", async (context) => {
  const server = await Server.start(context);
  const { socket } = open(context, server.address, { waitingMax: 3 });
  assert.deepEqual([1, 2, 3, 4].map((n) => socket.send({ n })), [true, true, true, false]);
  const connection = await server.connection();
  for (const n of [1, 2, 3]) assert.deepEqual(await connection.frame(), { n });
});

test("nothing is taken before connect and after disconnect", async (context) => {
  const server = await Server.start(context);
  const socket = new PlainSocket(server.address, QUICK);
  assert.equal(socket.send(1), false);
  const { socket: other } = open(context, server.address);
  other.disconnect();
  assert.equal(other.send(1), false);
});

for (const code of [1001, 1011, 1012, 4401, null]) {
  test(`after ${code ?? "a lost connection"} it comes back with fresh params and the last that it saw`, async (context) => {
    const server = await Server.start(context);
    let made = 0;
    const { messages, closes } = open(context, server.address, { params: async () => ({ made: (made += 1) }) });
    const first = await server.connection();
    assert.deepEqual([first.query.get("made"), first.query.get("last_seen_id")], ["1", null]);
    first.send({ event: "said", payload: { last_seen_id: "e-1" } });
    first.send({ last_seen_id: "e-2" });
    await messages.next();
    await messages.next();
    if (code === null) first.socket.terminate();
    else first.socket.close(code);
    const closed = await closes.next();
    assert.deepEqual([closed.code, closed.opened, closed.returns], [code ?? 1006, true, true]);
    const second = await server.connection();
    assert.deepEqual([second.query.get("made"), second.query.get("last_seen_id")], ["2", "e-2"]);
  });
}

for (const code of [1000, 4403]) {
  test(`after ${code} it stays away, until it is told to connect`, async (context) => {
    const server = await Server.start(context);
    const { socket, closes } = open(context, server.address);
    (await server.connection()).socket.close(code);
    assert.equal((await closes.next()).returns, false);
    assert.equal(socket.send(1), false);
    socket.connect();
    await server.connection();
  });
}

test("a larger gap than the history is told once", async (context) => {
  const server = await Server.start(context);
  const { socket, resyncs, messages } = open(context, server.address);
  const connection = await server.connection();
  const frame = { event: "phx_reply", ref: null, payload: { status: "ok", response: { resync: true, last_seen_id: "f-9" } } };
  connection.send(frame);
  connection.send({ event: "said", payload: {} });
  assert.deepEqual(await resyncs.next(), frame);
  await messages.next();
  await messages.next();
  assert.equal(resyncs.length, 0);
  assert.equal(socket.lastSeenId, "f-9");
});

test("a server that says nothing any more is left after a heartbeat without an answer", async (context) => {
  const server = await Server.start(context);
  const heartbeat = { intervalMs: 30, timeoutMs: 2_000, frame: { ping: 1 } };
  const { closes } = open(context, server.address, { heartbeat });
  const connection = await server.connection();
  for (let beat = 0; beat < 3; beat += 1) {
    assert.deepEqual(await connection.frame(), { ping: 1 });
    connection.send({ pong: 1 });
  }
  const closed = await closes.next();
  assert.deepEqual([closed.code, closed.reason, closed.returns], [1006, "no sign of life", true]);
  await server.connection();
});

test("a heartbeat of which only the frame is said asks every 30 s, and waits for 10 s", async (context) => {
  const server = await Server.start(context);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { socket, opens, closes } = open(context, server.address, { heartbeat: { frame: { ping: 1 } } });
  const connection = await server.connection();
  await opens.next();
  context.mock.timers.tick(29_999);
  socket.send("said");
  assert.equal(await connection.frame(), "said");
  context.mock.timers.tick(1);
  assert.deepEqual(await connection.frame(), { ping: 1 });
  context.mock.timers.tick(9_999);
  assert.ok(socket.isConnected());
  context.mock.timers.tick(1);
  assert.equal((await closes.next()).reason, "no sign of life");
});

test("an attempt that gets no answer ends and is followed by another", async (context) => {
  const attempts = new Inbox();
  const deaf = net.createServer((socket) => attempts.add(socket.on("error", () => {})));
  await new Promise((resolve) => deaf.listen(0, "127.0.0.1", resolve));
  context.after(() => deaf.close());
  const { closes } = open(context, `ws://127.0.0.1:${deaf.address().port}`, { openTimeoutMs: 50 });
  for (let at = 0; at < 2; at += 1) {
    const socket = await attempts.next();
    const { opened, returns } = await closes.next();
    assert.deepEqual([opened, returns], [false, true]);
    socket.destroy();
  }
});

test("params that cannot be made are a failed attempt", async (context) => {
  const server = await Server.start(context);
  let tries = 0;
  const params = () => {
    tries += 1;
    if (tries < 3) throw new Error("no token");
    return {};
  };
  const { closes } = open(context, server.address, { params });
  assert.match((await closes.next()).reason, /no token/);
  await closes.next();
  await server.connection();
});

test("what is no JSON is told and harms nothing", async (context) => {
  const server = await Server.start(context);
  const { errors, messages } = open(context, server.address);
  const connection = await server.connection();
  connection.socket.send("{");
  assert.equal((await errors.next()).name, "FrameError");
  connection.send(1);
  assert.equal(await messages.next(), 1);
});

test("who disconnects hears of it once and does not come back", async (context) => {
  const server = await Server.start(context);
  const { socket, opens, closes } = open(context, server.address);
  const connection = await server.connection();
  await opens.next();
  const ended = new Promise((resolve) => connection.socket.once("close", resolve));
  socket.disconnect(4000, "bye");
  assert.equal(await ended, 4000);
  assert.deepEqual(await closes.next(), { code: 4000, reason: "bye", opened: true, returns: false });
  socket.disconnect();
  assert.equal(closes.length, 0);
});

test("a code that may not be sent ends nothing", async (context) => {
  const server = await Server.start(context);
  const { socket, opens, closes } = open(context, server.address);
  const connection = await server.connection();
  await opens.next();
  assert.throws(() => socket.disconnect(1005));
  assert.ok(socket.isConnected());
  connection.socket.close(1012);
  assert.equal((await closes.next()).code, 1012);
  await server.connection();
});

test("an application that cannot say whether to come back is no reason to stay away", async (context) => {
  const server = await Server.start(context);
  const uncaught = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
  context.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const reconnects = () => {
    throw new Error("mine");
  };
  open(context, server.address, { reconnects });
  (await server.connection()).socket.close(1012);
  assert.equal((await uncaught).message, "mine");
  await server.connection();
});

test("what was taken while there was no connection goes out, whatever may wait inside of one", async (context) => {
  const server = await Server.start(context);
  const { socket } = open(context, server.address, { waitingSizeMax: 8 * 1024 * 1024, bufferedBytesMax: 1 });
  const text = "x".repeat(700_000);
  for (let n = 0; n < 10; n += 1) assert.ok(socket.send({ n, text }));
  const connection = await server.connection();
  for (let n = 0; n < 10; n += 1) assert.equal((await connection.frame()).n, n);
});

test("what is no JSON value is not sent", () => {
  const socket = new PlainSocket("ws://127.0.0.1:9", QUICK);
  for (const value of [undefined, () => {}]) assert.throws(() => socket.send(value), TypeError);
});
