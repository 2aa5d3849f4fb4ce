// Plain and demultiplexed sockets in topics that keep a history, with Towpath's own client.

import assert from "node:assert/strict";
import { test } from "node:test";

import { PlainSocket, Streams } from "../../../clients/js/dist/towpath.js";
import { QUICK, client, inTopic, next } from "../lib/own-client.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { NODES, wsAddress } from "../lib/server.mjs";
import { Inbox, unique } from "../lib/waiting.mjs";

const HISTORY_SIZE = 5;

/** Somebody who says something in a topic, on the other node if there are two. */
async function writer(context, topic) {
  const channel = await inTopic(client(context, { base: NODES.at(-1) }), topic);
  return async (...numbers) => {
    for (const n of numbers) await channel.push("say", { n }).reply();
  };
}

/** What a socket or a stream hears, as `[event, n]`; of the answer to its join as `["joined", resync]`. */
function heard(source) {
  const inbox = new Inbox();
  source.onMessage(({ event, ref, payload }) => {
    if (event !== "phx_reply") inbox.add([event, payload.n]);
    else if (ref === null) inbox.add(["joined", payload.response.resync]);
  });
  source.onResync(() => inbox.add(["resync", undefined]));
  return inbox;
}

async function hears(inbox, ...expected) {
  for (const [event, value] of expected) assert.deepEqual(await inbox.next(`${event} ${value}`), [event, value]);
}

const said = (...numbers) => numbers.map((n) => ["said", n]);

/** A socket that ends with the test; it is connected later. */
function begun(context, Kind, address, options = {}) {
  const socket = new Kind(address, { ...QUICK, ...options });
  context.after(() => socket.disconnect());
  return socket;
}

async function away(proxy, socket, meanwhile) {
  proxy.takes = false;
  const lost = next((hook) => socket.onClose(hook), "close");
  proxy.cut();
  await lost;
  await meanwhile();
  proxy.takes = true;
}

test("a plain socket that was away is told what it missed, in order and once", async (context) => {
  const proxy = await Proxy.start(context);
  const name = unique("plain-");
  const say = await writer(context, `history:${name}`);
  const socket = begun(context, PlainSocket, `${proxy.base}/history/${name}`);
  const inbox = heard(socket);
  socket.connect();
  await hears(inbox, ["joined", false]);
  await say(1);
  await hears(inbox, ...said(1));
  for (const first of [2, 5, 8]) {
    await away(proxy, socket, () => say(first, first + 1));
    await hears(inbox, ["joined", false], ...said(first, first + 1));
    await say(first + 2);
    await hears(inbox, ...said(first + 2));
  }
  assert.equal(inbox.length, 0);
});

test("a plain socket that missed more than is kept begins anew", async (context) => {
  const proxy = await Proxy.start(context);
  const name = unique("plain-");
  const say = await writer(context, `history:${name}`);
  const socket = begun(context, PlainSocket, `${proxy.base}/history/${name}`);
  const inbox = heard(socket);
  socket.connect();
  await hears(inbox, ["joined", false]);
  const numbers = Array.from({ length: HISTORY_SIZE + 3 }, (_, at) => at);
  await say(100);
  await hears(inbox, ...said(100));
  await away(proxy, socket, () => say(...numbers));
  await hears(inbox, ["joined", true], ["resync", undefined], ...said(...numbers.slice(-HISTORY_SIZE)));
});

test("what a plain socket's join says comes behind its answer, and to itself", async (context) => {
  const name = unique("plain-");
  for (const n of ["one", "two", "three"]) {
    const socket = begun(context, PlainSocket, wsAddress(`/history/${name}`), { params: { announce: n } });
    const inbox = heard(socket);
    socket.connect();
    await hears(inbox, ["joined", false]);
    const both = [await inbox.next("welcome"), await inbox.next("said")];
    assert.deepEqual(both.sort(), [
      ["said", n],
      ["welcome", undefined],
    ]);
    socket.disconnect();
  }
});

test("each stream of a socket is told what it missed", async (context) => {
  const proxy = await Proxy.start(context);
  const name = unique("plain-");
  const [sayLeft, sayRight] = [
    await writer(context, `history:${name}-left`),
    await writer(context, `history:${name}-right`),
  ];
  await sayLeft(0, 0, 0);
  const streams = begun(context, Streams, `${proxy.base}/streams/${name}`);
  const [left, right] = ["left", "right"].map((stream) => heard(streams.stream(stream)));
  streams.connect();
  await Promise.all([hears(left, ["joined", false]), hears(right, ["joined", false])]);
  await sayLeft(1);
  await sayRight(11, 12);
  await Promise.all([hears(left, ...said(1)), hears(right, ...said(11, 12))]);
  assert.notEqual(streams.stream("left").lastSeenId, streams.stream("right").lastSeenId);
  for (const first of [2, 6]) {
    await away(proxy, streams, async () => {
      await sayLeft(first, first + 1, first + 2);
      await sayRight(first + 11);
    });
    await hears(left, ["joined", false], ...said(first, first + 1, first + 2));
    await hears(right, ["joined", false], ...said(first + 11));
    await sayLeft(first + 3);
    await hears(left, ...said(first + 3));
  }
  assert.deepEqual([left.length, right.length], [0, 0]);
});

test("one stream may have missed more than is kept, and the other nothing", async (context) => {
  const proxy = await Proxy.start(context);
  const name = unique("plain-");
  const say = await writer(context, `history:${name}-left`);
  const streams = begun(context, Streams, `${proxy.base}/streams/${name}`);
  const [left, right] = ["left", "right"].map((stream) => heard(streams.stream(stream)));
  streams.connect();
  await Promise.all([hears(left, ["joined", false]), hears(right, ["joined", false])]);
  const numbers = Array.from({ length: HISTORY_SIZE + 1 }, (_, at) => at);
  await away(proxy, streams, () => say(...numbers));
  await hears(right, ["joined", false]);
  await hears(left, ["joined", true], ["resync", undefined], ...said(...numbers.slice(1)));
  assert.equal(right.length, 0);
});
