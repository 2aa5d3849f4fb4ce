import assert from "node:assert/strict";
import { test } from "node:test";

import WebSocket from "ws";

import { Presence, Socket } from "../dist/towpath.js";
import { Inbox, Server } from "./lib/server.mjs";

const TOPIC = "room:1";

const metas = (...refs) => ({ metas: refs.map((phx_ref) => ({ phx_ref })) });

/** Who is there whenever it is told, and the server of the topic. */
async function present(context) {
  const server = await Server.start(context);
  const socket = new Socket(server.address, { WebSocket, reconnectBaseMs: 10, reconnectMaxMs: 20 });
  context.after(() => socket.disconnect());
  const channel = socket.channel(TOPIC);
  const presence = new Presence(channel);
  const heard = new Inbox();
  presence.onSync(() => heard.add(presence.list((key) => key)));
  channel.on("done", () => heard.add("done"));
  channel.join();
  socket.connect();
  return { server, heard };
}

/** The next connection, joined, and how to speak to it. */
async function joined(server) {
  const connection = await server.connection();
  const join = await connection.message();
  connection.reply(join, "ok");
  const push = (event, payload) => connection.send([join.ref, null, TOPIC, event, payload]);
  const diff = (payload) => connection.send([null, null, TOPIC, "presence_diff", { joins: {}, leaves: {}, ...payload }]);
  return { connection, push, diff };
}

test("differences that come before the state count when it is there", async (context) => {
  const { server, heard } = await present(context);
  const { push, diff } = await joined(server);
  diff({ joins: { bob: metas("2") } });
  diff({ leaves: { ann: metas("1") } });
  push("done", {});
  assert.equal(await heard.next(), "done");
  push("presence_state", { ann: metas("1"), cleo: metas("3") });
  assert.deepEqual(await heard.next(), ["cleo", "bob"]);
});

test("what an earlier join has heard without a state counts for no other", async (context) => {
  const { server, heard } = await present(context);
  const first = await joined(server);
  first.diff({ joins: { bob: metas("2") } });
  first.push("done", {});
  assert.equal(await heard.next(), "done");
  first.connection.socket.close(1012);
  const second = await joined(server);
  second.diff({ joins: { cleo: metas("3") } });
  second.push("presence_state", { ann: metas("1") });
  assert.deepEqual(await heard.next(), ["ann", "cleo"]);
});
