// The unmodified npm client, with promises around its callbacks.

import { LongPoll, Socket } from "phoenix";
import WebSocket from "ws";

import { anyNode, wsAddress } from "./server.mjs";
import { Inbox, within } from "./waiting.mjs";

/** Version 1 as its clients took it: the `ref` of what ends a channel is its join_ref. */
const V1_CODEC = {
  vsn: "1.0.0",
  encode: ({ topic, event, payload, ref, join_ref }, send) => send(JSON.stringify({ topic, event, payload, ref, join_ref })),
  decode: (text, receive) => {
    const message = JSON.parse(text);
    const ends = message.event === "phx_close" || message.event === "phx_error";
    receive({ ...message, join_ref: ends ? message.ref : null });
  },
};

/** The ways in which the client can speak to a server. */
export const WAYS = [
  { name: "WebSocket, version 2", options: { transport: WebSocket } },
  { name: "WebSocket, version 1", options: { transport: WebSocket, ...V1_CODEC } },
  { name: "long-poll", options: { transport: LongPoll } },
];

/** Those that carry bytes to the client. */
export const BINARY_WAYS = [WAYS[0]];

/** A client of `mount`; it ends with the test. */
export function client(context, { mount = "/socket", node = anyNode(), base, ...options } = {}) {
  const address = base === undefined ? wsAddress(mount, {}, node) : `${base}${mount}`;
  const socket = new Socket(address, { transport: WebSocket, ...options });
  context.after(() => socket.disconnect());
  return socket;
}

/** The client, connected. */
export async function connected(context, options) {
  const socket = client(context, options);
  const open = opened(socket);
  socket.connect();
  await open;
  return socket;
}

/** The next time that the socket opens. */
export function opened(socket) {
  return within("open connection", new Promise((resolve) => socket.onOpen(resolve)));
}

/** The code of the next close. */
export function closed(socket) {
  return within("close", new Promise((resolve) => socket.onClose(({ code }) => resolve(code))));
}

/** What a push is answered with, as `[status, response]`. */
export function answer(push, statuses = ["ok", "error", "timeout"]) {
  const answered = new Promise((resolve) => {
    for (const status of statuses) push.receive(status, (response) => resolve([status, response]));
  });
  return within(`answer to ${push.event}`, answered);
}

/** A channel that is joined, and the response. */
export async function joined(socket, topic, params = {}) {
  const channel = socket.channel(topic, params);
  const [status, response] = await answer(channel.join());
  if (status !== "ok") throw new Error(`${topic} is not joined: ${status} ${JSON.stringify(response)}`);
  return { channel, response };
}

/** Everything of the named events that the channel hears from now on, as `[event, payload]`. */
export function heard(channel, ...events) {
  const inbox = new Inbox();
  for (const event of events) channel.on(event, (payload) => inbox.add([event, payload]));
  return inbox;
}

/** The next payload of one event. */
export function once(channel, event) {
  return within(event, new Promise((resolve) => channel.on(event, resolve)));
}

/** The next time that the channel is closed or has an error. */
export function ended(channel) {
  return within(
    `end of ${channel.topic}`,
    new Promise((resolve) => {
      channel.onClose(() => resolve("close"));
      channel.onError(() => resolve("error"));
    }),
  );
}
