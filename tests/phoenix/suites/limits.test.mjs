// Every limit has a number and says so.

import assert from "node:assert/strict";
import { test } from "node:test";

import { answer, connected, joined } from "../lib/client.mjs";
import { RawPoll } from "../lib/raw-poll.mjs";
import { withRaw } from "../lib/raw-socket.mjs";
import { VERSIONS } from "../lib/versions.mjs";
import { unique } from "../lib/waiting.mjs";

const MAX_TOPICS = 100;

/** The reply names what is too much, and how much is allowed. */
function assertTooMany({ status, response }, max) {
  assert.equal(status, "error");
  assert.match(response.reason, /^too many channels joined/);
  assert.match(JSON.stringify(response), new RegExp(`\\b${max}\\b`));
}

for (const version of VERSIONS) {
  test(`${version.vsn}: the 101st topic is refused, those before it live, and a leave makes room`, () =>
    withRaw("/socket", { version }, async (raw) => {
      const prefix = unique("room:");
      for (let at = 0; at < MAX_TOPICS; at += 1) raw.send(`${at}`, `${at}`, `${prefix}-${at}`, "phx_join");
      for (let at = 0; at < MAX_TOPICS; at += 1) assert.equal((await raw.next()).payload.status, "ok");
      raw.send("x", "x", `${prefix}-more`, "phx_join");
      const refused = await raw.next();
      assertTooMany(refused.payload, MAX_TOPICS);
      if (version.vsn === "2.0.0") assert.equal(refused.joinRef, "x", "the refusal carries the join_ref");
      await raw.expectNothing("0", `${prefix}-0`);
      raw.send("0", "leave", `${prefix}-0`, "phx_leave");
      while ((await raw.next()).event !== "phx_close");
      await raw.join(`${prefix}-more`, {}, "y");
    }));

  test(`${version.vsn}: a mount may allow one topic only; the same topic again is not one more`, () =>
    withRaw("/limited", { version }, async (raw) => {
      const topic = unique("room:");
      await raw.join(topic, {}, "1");
      raw.send("2", "2", unique("room:"), "phx_join");
      assertTooMany((await raw.next()).payload, 1);
      raw.send("3", "3", topic, "phx_join");
      let message;
      do message = await raw.next();
      while (message.event !== "phx_reply");
      assert.equal(message.payload.status, "ok");
    }));
}

test("long-poll: the limit of topics holds, too", async () => {
  const poll = await RawPoll.open("/limited");
  await poll.join(unique("room:"));
  await poll.send("2", "2", unique("room:"), "phx_join");
  assertTooMany((await poll.next()).payload, 1);
});

test("a frame over a mebibyte closes the socket with 1009", () =>
  withRaw("/socket", {}, async (raw) => {
    raw.socket.send(`["1","1","room:1","echo","${"x".repeat(1024 * 1024)}"]`);
    assert.equal(await raw.closeCode(), 1009);
  }));

test("a frame just under it comes back", async (context) => {
  const { channel } = await joined(await connected(context), unique("room:"));
  const text = "x".repeat(1024 * 1024 - 1024);
  assert.equal((await answer(channel.push("echo", { text })))[1].text.length, text.length);
});
