// Joining, leaving, joining again.

import assert from "node:assert/strict";
import { test } from "node:test";

import { WAYS, answer, connected, ended, heard, joined, once } from "../lib/client.mjs";
import { RawSocket, withRaw } from "../lib/raw-socket.mjs";
import { VERSIONS } from "../lib/versions.mjs";
import { unique } from "../lib/waiting.mjs";

for (const { name, options } of WAYS) {
  test(`${name}: a join is answered with ok and the response of the application`, async (context) => {
    const socket = await connected(context, options);
    const { response } = await joined(socket, unique("room:"), { reply: { welcome: [1, "two", null] } });
    assert.deepEqual(response, { welcome: [1, "two", null] });
  });

  test(`${name}: a join without a response is answered with an empty object`, async (context) => {
    const socket = await connected(context, options);
    assert.deepEqual((await joined(socket, unique("room:"))).response, {});
  });

  test(`${name}: a refused join carries the reason`, async (context) => {
    const socket = await connected(context, options);
    const channel = socket.channel(unique("room:"), { refuse: { reason: "full", max: 2 } });
    assert.deepEqual(await answer(channel.join()), ["error", { reason: "full", max: 2 }]);
    channel.leave();
  });

  test(`${name}: what is said during a join comes after its answer`, async (context) => {
    const socket = await connected(context, { ...options, params: { user: "ann" } });
    const channel = socket.channel(unique("room:"), { announce: true });
    const inbox = heard(channel, "user_entered", "joined");
    assert.deepEqual(await answer(channel.join()), ["ok", {}]);
    assert.deepEqual(await inbox.next(), ["user_entered", { user: "ann" }]);
    assert.deepEqual(await inbox.next(), ["joined", { status: "connected", user: "ann" }]);
  });

  test(`${name}: leaving is answered, then the topic is unknown, and can be joined again`, async (context) => {
    const socket = await connected(context, options);
    const topic = unique("room:");
    const { channel } = await joined(socket, topic);
    const end = ended(channel);
    assert.deepEqual(await answer(channel.leave()), ["ok", {}]);
    assert.equal(await end, "close");
    const again = await joined(socket, topic, { reply: { again: true } });
    assert.deepEqual(again.response, { again: true });
  });

  test(`${name}: of two channels with one topic the last wins`, async (context) => {
    const socket = await connected(context, options);
    const topic = unique("room:");
    const first = await joined(socket, topic);
    const end = ended(first.channel);
    const second = await joined(socket, topic, { reply: { second: true } });
    assert.equal(await end, "close");
    assert.deepEqual(second.response, { second: true });
    assert.deepEqual(await answer(second.channel.push("echo", { a: 1 })), ["ok", { a: 1 }]);
  });

  test(`${name}: many topics share a connection and do not hear each other`, async (context) => {
    const socket = await connected(context, options);
    const topics = Array.from({ length: 20 }, () => unique("room:"));
    const channels = await Promise.all(topics.map((topic) => joined(socket, topic)));
    const inboxes = channels.map(({ channel }) => heard(channel, "shout"));
    await Promise.all(channels.map(({ channel }, at) => answer(channel.push("shout", { at }))));
    for (const [at, inbox] of inboxes.entries()) {
      assert.deepEqual(await inbox.next(), ["shout", { at }]);
      assert.equal(inbox.length, 0);
    }
  });

  test(`${name}: a slow join delays no other topic`, async (context) => {
    const socket = await connected(context, options);
    const gate = unique("gate-");
    const slow = socket.channel(unique("room:"), { gate, reply: { slow: true } });
    const slowAnswer = answer(slow.join());
    const { channel } = await joined(socket, unique("room:"));
    assert.deepEqual(await answer(channel.push("echo", { a: 1 })), ["ok", { a: 1 }]);
    await answer(channel.push("open_gate", { name: gate }));
    assert.deepEqual(await slowAnswer, ["ok", { slow: true }]);
  });
}

for (const version of VERSIONS) {
  const { vsn } = version;

  test(`${vsn}: the answer to a join has its ref and its join_ref, which may differ`, () =>
    withRaw("/socket", { version }, async (raw) => {
      const topic = unique("room:");
      raw.send("11", "1", topic, "phx_join");
      await raw.expectReply("11", "1", topic, "ok", {});
      raw.send("11", "2", topic, "echo", { a: 1 });
      await raw.expectReply("11", "2", topic, "ok", { a: 1 });
    }));

  test(`${vsn}: pushes have the join_ref and no ref, broadcasts have neither`, () =>
    withRaw("/socket", { version, params: { user: "ann" } }, async (raw) => {
      const topic = unique("room:");
      raw.send("7", "7", topic, "phx_join", { announce: true });
      await raw.expectReply("7", "7", topic, "ok", {});
      await raw.expect(null, null, topic, "user_entered", { user: "ann" });
      await raw.expect("7", null, topic, "joined", { status: "connected", user: "ann" });
    }));

  test(`${vsn}: a leave is answered, phx_close carries the join_ref as its ref, you_left is pushed`, () =>
    withRaw("/socket", { version }, async (raw) => {
      const topic = unique("room:");
      await raw.join(topic);
      raw.send("1", "2", topic, "phx_leave");
      const messages = [await raw.next(), await raw.next(), await raw.next()];
      const expected = [
        { joinRef: "1", ref: null, topic, event: "you_left", payload: { reason: "left" } },
        { joinRef: "1", ref: "2", topic, event: "phx_reply", payload: { status: "ok", response: {} } },
        { joinRef: "1", ref: "1", topic, event: "phx_close", payload: {} },
      ].map(version.expected);
      const byEvent = (a, b) => a.event.localeCompare(b.event);
      assert.deepEqual(messages.toSorted(byEvent), expected.toSorted(byEvent));
      const order = messages.map((it) => it.event).filter((it) => it !== "you_left");
      assert.deepEqual(order, ["phx_reply", "phx_close"]);
    }));

  test(`${vsn}: whoever leaves what is not joined is told ok`, () =>
    withRaw("/socket", { version }, async (raw) => {
      raw.send("1", "1", "room:never", "phx_leave");
      assert.deepEqual((await raw.next()).payload, { status: "ok", response: {} });
    }));

  test(`${vsn}: a second join closes the first under its join_ref before it is answered`, () =>
    withRaw("/socket", { version }, async (raw) => {
      const topic = unique("room:");
      await raw.join(topic, {}, "1");
      raw.send("2", "2", topic, "phx_join");
      const seen = [];
      while (seen.at(-1)?.event !== "phx_reply") seen.push(await raw.next());
      assert.deepEqual(
        seen.filter((it) => it.event !== "you_left"),
        [
          { joinRef: "1", ref: "1", topic, event: "phx_close", payload: {} },
          { joinRef: "2", ref: "2", topic, event: "phx_reply", payload: { status: "ok", response: {} } },
        ].map(version.expected),
      );
      raw.send("2", "3", topic, "get");
      await raw.expectReply("2", "3", topic, "ok", { value: null });
    }));

  test(`${vsn}: a topic without a route is refused, with no join_ref`, () =>
    withRaw("/socket", { version }, async (raw) => {
      raw.send("1", "1", "nowhere:1", "phx_join");
      await raw.expectReply(null, "1", "nowhere:1", "error", { reason: "unmatched topic" });
    }));

  test(`${vsn}: messages that follow a join at once wait for it, in order`, () =>
    withRaw("/socket", { version }, async (raw) => {
      const topic = unique("room:");
      raw.send("1", "1", topic, "phx_join");
      for (const n of [2, 3, 4]) raw.send("1", String(n), topic, "echo", { n });
      await raw.expectReply("1", "1", topic, "ok", {});
      for (const n of [2, 3, 4]) await raw.expectReply("1", String(n), topic, "ok", { n });
    }));
}

for (const event of ["echo", "phx_leave"]) {
  test(`${event} with a stale join_ref is dropped without a word`, () =>
    withRaw("/socket", {}, async (raw) => {
      const topic = unique("room:");
      await raw.join(topic, {}, "5");
      raw.send("4", "6", topic, event, { stale: true });
      await raw.expectNothing("5", topic);
    }));
}

test("a message without a join_ref reaches its topic, a leave too", () =>
  withRaw("/socket", {}, async (raw) => {
    const topic = unique("room:");
    await raw.join(topic, {}, "5");
    raw.send(null, "6", topic, "echo", { a: 1 });
    await raw.expectReply("5", "6", topic, "ok", { a: 1 });
    raw.send(null, "7", topic, "phx_leave");
    let last;
    do last = await raw.next();
    while (last.event !== "phx_close");
    assert.deepEqual(last, { joinRef: "5", ref: "5", topic, event: "phx_close", payload: {} });
  }));

test("a join without a join_ref is known by its ref", () =>
  withRaw("/socket", {}, async (raw) => {
    const topic = unique("room:");
    raw.send(null, "9", topic, "phx_join");
    await raw.expectReply(null, "9", topic, "ok", {});
    raw.send(null, "10", topic, "push", { event: "news", payload: {} });
    await raw.expect("9", null, topic, "news", { n: 1 });
  }));

test("when a client is gone, its topics end with the reason closed", async (context) => {
  const topic = unique("room:");
  const { channel } = await joined(await connected(context), `watch:${topic}`);
  const end = once(channel, "terminated");
  const raw = await RawSocket.open("/socket", { params: { user: "ann" } });
  await raw.join(topic);
  await raw.close();
  assert.deepEqual(await end, { topic, user: "ann", reason: "closed" });
});

test("the first pattern that fits wins, and a prefix is enough", async (context) => {
  const socket = await connected(context);
  for (const topic of ["room:", "room:a:b:c", "room:*", "room:größe 世界"]) await joined(socket, topic);
  const channel = socket.channel("room");
  assert.deepEqual(await answer(channel.join()), ["error", { reason: "unmatched topic" }]);
});
