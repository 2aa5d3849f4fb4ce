// Towpath's own client, with promises around its callbacks.

import assert from "node:assert/strict";

import WebSocket from "ws";

import { Socket } from "../../../clients/js/dist/towpath.js";
import { answer } from "./client.mjs";
import { anyNode } from "./server.mjs";
import { within } from "./waiting.mjs";

export const QUICK = { WebSocket, reconnectBaseMs: 20, reconnectMaxMs: 40, rejoinBaseMs: 20, rejoinMaxMs: 40 };
export const WAYS = ["websocket", "longpoll"];

/** A client that ends with the test. */
export function client(context, { mount = "/socket", base = anyNode(), ...options } = {}) {
  const socket = new Socket(`${base}${mount}`, { ...QUICK, ...options });
  context.after(() => socket.disconnect());
  socket.connect();
  return socket;
}

export async function inTopic(socket, topic, params = {}) {
  const channel = socket.channel(topic, params);
  assert.equal((await answer(channel.join()))[0], "ok");
  return channel;
}

/** The next time that it is so. */
export function next(hook, what) {
  return within(what, new Promise((resolve) => hook((...parts) => resolve(parts))));
}
