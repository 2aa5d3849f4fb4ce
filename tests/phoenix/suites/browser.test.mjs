// Both clients in Chromium, on a page of another origin.

import assert from "node:assert/strict";
import { test } from "node:test";

import { blankPage, browser } from "../lib/browser.mjs";
import { NODES } from "../lib/server.mjs";
import { unique } from "../lib/waiting.mjs";

/** Runs in the page: makes a socket of either client. */
async function open({ script, transport, address, user }) {
  const library = await import(script);
  const isOwn = script === "/towpath.js";
  const way = isOwn ? transport : { websocket: WebSocket, longpoll: library.LongPoll }[transport];
  window.library = library;
  window.socket = new library.Socket(address, {
    params: { user },
    transport: way,
    reconnectAfterMs: () => 20,
    rejoinAfterMs: () => 20,
    reconnectBaseMs: 20,
  });
  window.socket.connect();
}

/** Runs in the page: joins, and says how that was answered. */
function join({ topic, params }) {
  window.channel = window.socket.channel(topic, params);
  window.heard = [];
  window.channel.on("shout", (payload) => window.heard.push(payload));
  window.presence = new window.library.Presence(window.channel);
  const push = window.channel.join();
  return new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve([status, response]));
  });
}

/** Runs in the page: pushes, and says how that was answered. */
function push({ event, payload }) {
  return new Promise((resolve) => {
    const push = window.channel.push(event, payload);
    for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve([status, response]));
  });
}

const CASES = ["/phoenix.mjs", "/towpath.js"].flatMap((script) =>
  ["websocket", "longpoll"].map((transport) => ({ script, transport })),
);

test("in a browser", async (context) => {
  const started = await browser(context);
  for (const { script, transport } of CASES) {
    await context.test(`${script} over ${transport}: joins, answers, broadcasts and presence`, async (inner) => {
      const { page, errors } = await blankPage(inner, started);
      const user = unique("user-");
      await page.evaluate(open, { script, transport, address: `${NODES[0].replace(/^http/, "ws")}/socket`, user });
      assert.deepEqual(await page.evaluate(join, { topic: unique("room:"), params: { reply: { a: "ü" } } }), ["ok", { a: "ü" }]);
      assert.deepEqual(await page.evaluate(push, { event: "echo", payload: { n: [1, null] } }), ["ok", { n: [1, null] }]);
      await page.evaluate(push, { event: "shout", payload: { n: 1 } });
      await page.waitForFunction(() => window.heard.length === 1);
      assert.deepEqual(await page.evaluate(() => window.heard), [{ n: 1 }]);

      assert.deepEqual(await page.evaluate(join, { topic: unique("presence:"), params: { key: "ann", meta: {} } }), ["ok", {}]);
      await page.waitForFunction(() => window.presence.list((key) => key).join() === "ann");
      assert.deepEqual(errors, []);
    });

    await context.test(`${script} over ${transport}: comes back after it was disconnected by id`, async (inner) => {
      const { page, errors } = await blankPage(inner, started);
      const user = unique("user-");
      await page.evaluate(open, { script, transport, address: `${NODES[0].replace(/^http/, "ws")}/socket`, user });
      await page.evaluate(join, { topic: unique("room:"), params: {} });
      await page.evaluate(push, { event: "set", payload: { value: 1 } });
      await page.evaluate((id) => {
        window.lost = new Promise((resolve) => window.channel.onError(resolve));
        window.channel.push("disconnect", { id });
        return window.lost.then(() => null);
      }, `users:${user}`);
      assert.deepEqual(await page.evaluate(push, { event: "get", payload: {} }), ["ok", { value: null }]);
      assert.deepEqual(errors, []);
    });
  }
});
