import assert from "node:assert/strict";
import { test } from "node:test";

import WebSocket from "ws";

import { Streams } from "../dist/towpath.js";
import { Inbox, Server } from "./lib/server.mjs";

function open(context, address) {
  const streams = new Streams(address, { WebSocket, reconnectBaseMs: 10, reconnectMaxMs: 20, params: { a: "b" } });
  context.after(() => streams.disconnect());
  streams.connect();
  return streams;
}

test("each stream sends and hears its own", async (context) => {
  const server = await Server.start(context);
  const streams = open(context, server.address);
  const [chat, todos] = [streams.stream("chat"), streams.stream("todos")];
  const heard = new Inbox();
  chat.onMessage((it) => heard.add(["chat", it]));
  todos.onMessage((it) => heard.add(["todos", it]));
  const connection = await server.connection();
  todos.send({ add: "milk" });
  assert.deepEqual(await connection.frame(), { stream: "todos", payload: { add: "milk" } });
  connection.send({ stream: "todos", payload: { added: 1 } });
  connection.send({ stream: "nobody's", payload: {} });
  connection.send({ stream: "chat", payload: "hi" });
  assert.deepEqual([await heard.next(), await heard.next()], [["todos", { added: 1 }], ["chat", "hi"]]);
  assert.equal(streams.stream("chat"), chat);
});

test("an error is told to its stream, or to all", async (context) => {
  const server = await Server.start(context);
  const streams = open(context, server.address);
  const errors = new Inbox();
  streams.stream("chat").onError((it) => errors.add(["chat", it]));
  streams.onError((it) => errors.add(["all", it]));
  const connection = await server.connection();
  const error = { code: "rejected", reason: "no" };
  connection.send({ stream: "chat", error });
  connection.send({ stream: "unknown", error });
  connection.send({ error });
  assert.deepEqual([await errors.next(), await errors.next(), await errors.next()], [["chat", error], ["all", error], ["all", error]]);
});

test("each stream goes on where it stood", async (context) => {
  const server = await Server.start(context);
  const streams = open(context, server.address);
  const chat = streams.stream("chat");
  streams.stream("todos");
  const heard = new Inbox();
  chat.onMessage((it) => heard.add(it));
  const first = await server.connection();
  first.send({ stream: "chat", payload: { event: "said", payload: { last_seen_id: "e-4" } } });
  await heard.next();
  first.socket.close(1012);
  const second = await server.connection();
  assert.deepEqual(Object.fromEntries(second.query), { a: "b", "last_seen_id.chat": "e-4" });
});
