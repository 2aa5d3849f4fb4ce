// What goes to and fro in a topic that is joined.

import assert from "node:assert/strict";
import { test } from "node:test";

import { WAYS, answer, connected, ended, heard, joined, once } from "../lib/client.mjs";
import { withRaw } from "../lib/raw-socket.mjs";
import { VERSIONS } from "../lib/versions.mjs";
import { Inbox, unique, within } from "../lib/waiting.mjs";

for (const { name, options } of WAYS) {
  test(`${name}: a reply has the status and the response of the application`, async (context) => {
    const { channel } = await joined(await connected(context, options), unique("room:"));
    assert.deepEqual(await answer(channel.push("echo", { a: [1, { b: "ü" }] })), ["ok", { a: [1, { b: "ü" }] }]);
    assert.deepEqual(await answer(channel.push("error", { reason: "no" })), ["error", { reason: "no" }]);
    const own = channel.push("answer", { status: "maybe", response: { why: 1 } });
    assert.deepEqual(await answer(own, ["maybe", "timeout"]), ["maybe", { why: 1 }]);
  });

  test(`${name}: a response may be any JSON value`, async (context) => {
    const { channel } = await joined(await connected(context, options), unique("room:"));
    for (const response of [null, 1.5, "text", [1], true, {}]) {
      assert.deepEqual(await answer(channel.push("answer", { status: "ok", response })), ["ok", response]);
    }
  });

  test(`${name}: a reply may come later, from another task`, async (context) => {
    const { channel } = await joined(await connected(context, options), unique("room:"));
    assert.deepEqual(await answer(channel.push("later")), ["ok", { later: true }]);
  });

  test(`${name}: what is not replied to times out, and the topic lives`, async (context) => {
    const { channel } = await joined(await connected(context, options), unique("room:"));
    assert.equal((await answer(channel.push("nothing", {}, 300)))[0], "timeout");
    assert.deepEqual(await answer(channel.push("echo", { a: 1 })), ["ok", { a: 1 }]);
  });

  test(`${name}: pushes come in order, before the reply that follows them`, async (context) => {
    const { channel } = await joined(await connected(context, options), unique("room:"));
    const inbox = heard(channel, "news");
    const push = channel.push("push", { event: "news", payload: { a: 1 }, times: 100 });
    push.receive("ok", () => inbox.add("replied"));
    for (let n = 1; n <= 100; n += 1) assert.deepEqual(await inbox.next(), ["news", { a: 1, n }]);
    assert.equal(await inbox.next(), "replied");
  });

  test(`${name}: a hundred messages are answered in their order`, async (context) => {
    const { channel } = await joined(await connected(context, options), unique("room:"));
    const inbox = new Inbox();
    for (let n = 0; n < 100; n += 1) channel.push("echo", { n }).receive("ok", (it) => inbox.add(it.n));
    for (let n = 0; n < 100; n += 1) assert.equal(await inbox.next(), n);
  });

  test(`${name}: a broadcast reaches everybody, its sender too`, async (context) => {
    const topic = unique("room:");
    const others = [await joined(await connected(context, options), topic), await joined(await connected(context), topic)];
    const inboxes = others.map(({ channel }) => heard(channel, "shout"));
    await answer(others[0].channel.push("shout", { hello: "all" }));
    for (const inbox of inboxes) assert.deepEqual(await inbox.next(), ["shout", { hello: "all" }]);
  });

  test(`${name}: a broadcast to the others does not come back`, async (context) => {
    const topic = unique("room:");
    const { channel } = await joined(await connected(context, options), topic);
    const other = await joined(await connected(context), topic);
    const [own, theirs] = [heard(channel, "shout"), heard(other.channel, "shout")];
    await answer(channel.push("shout_others", { n: 1 }));
    assert.deepEqual(await theirs.next(), ["shout", { n: 1 }]);
    await answer(channel.push("shout", { n: 2 }));
    assert.deepEqual(await own.next(), ["shout", { n: 2 }]);
  });

  test(`${name}: an intercepted broadcast is made for each receiver`, async (context) => {
    const topic = unique("room:");
    const ann = await joined(await connected(context, { ...options, params: { user: "ann" } }), topic);
    const bob = await joined(await connected(context, { params: { user: "bob" } }), topic);
    const messages = [once(ann.channel, "new_msg"), once(bob.channel, "new_msg")];
    ann.channel.push("new_msg", { text: "hi" });
    assert.deepEqual(await Promise.all(messages), [
      { text: "hi", seen_by: "ann" },
      { text: "hi", seen_by: "bob" },
    ]);
  });

  test(`${name}: the assigns of a topic last and are its own`, async (context) => {
    const socket = await connected(context, options);
    const [one, two] = [await joined(socket, unique("room:")), await joined(socket, unique("room:"))];
    await answer(one.channel.push("set", { value: "mine" }));
    assert.deepEqual(await answer(one.channel.push("get")), ["ok", { value: "mine" }]);
    assert.deepEqual(await answer(two.channel.push("get")), ["ok", { value: null }]);
  });

  test(`${name}: a topic may say something on another`, async (context) => {
    const socket = await connected(context, options);
    const [one, two] = [await joined(socket, unique("room:")), await joined(socket, unique("room:"))];
    const news = once(two.channel, "news");
    await answer(one.channel.push("tell", { topic: two.channel.topic, event: "news", payload: { a: 1 } }));
    assert.deepEqual(await news, { a: 1 });
  });

  test(`${name}: a topic hears of another that it subscribed to`, async (context) => {
    const socket = await connected(context, options);
    const [one, two] = [await joined(socket, unique("room:")), await joined(socket, unique("room:"))];
    const topic = two.channel.topic;
    await answer(one.channel.push("subscribe", { topic }));
    const message = once(one.channel, "heard");
    two.channel.push("shout", { a: 1 });
    assert.deepEqual(await message, { topic, event: "shout", payload: { a: 1 } });
  });

  test(`${name}: a topic that stops is closed, and a reply goes out before`, async (context) => {
    const socket = await connected(context, options);
    for (const [event, expected] of [["stop_reply", ["ok", { stopped: true }]], ["stop", null]]) {
      const { channel } = await joined(socket, unique("room:"));
      const end = ended(channel);
      const push = channel.push(event);
      if (expected !== null) assert.deepEqual(await answer(push), expected);
      assert.equal(await end, "close");
    }
  });
}

for (const version of VERSIONS) {
  test(`${version.vsn}: a heartbeat is answered at once, with its ref and no join_ref`, () =>
    withRaw("/socket", { version }, async (raw) => {
      raw.send(null, "77", "phoenix", "heartbeat");
      await raw.expectReply(null, "77", "phoenix", "ok", {});
      raw.send(null, null, "phoenix", "heartbeat");
      await raw.expectReply(null, null, "phoenix", "ok", {});
    }));

  test(`${version.vsn}: a heartbeat does not wait for a join`, () =>
    withRaw("/socket", { version }, async (raw) => {
      const [topic, gate] = [unique("room:"), unique("gate-")];
      raw.send("1", "1", topic, "phx_join", { gate });
      raw.send(null, "2", "phoenix", "heartbeat");
      await raw.expectReply(null, "2", "phoenix", "ok", {});
      await withRaw("/socket", {}, async (other) => {
        const key = unique("room:");
        await other.join(key);
        other.send("1", "2", key, "open_gate", { name: gate });
        await other.expectReply("1", "2", key, "ok", {});
      });
      await raw.expectReply("1", "1", topic, "ok", {});
    }));

  test(`${version.vsn}: refs come back as they were, whatever they say`, () =>
    withRaw("/socket", { version }, async (raw) => {
      const topic = unique("room:");
      await raw.join(topic, {}, "the first");
      for (const ref of ["", "0", "-1", "a \"quoted\" ü", "9".repeat(100)]) {
        raw.send("the first", ref, topic, "echo", {});
        await raw.expectReply("the first", ref, topic, "ok", {});
      }
    }));

  test(`${version.vsn}: a reference can be answered more than once`, () =>
    withRaw("/socket", { version }, async (raw) => {
      const topic = unique("room:");
      await raw.join(topic);
      raw.send("1", "2", topic, "twice");
      await raw.expectReply("1", "2", topic, "ok", { n: 1 });
      await raw.expectReply("1", "2", topic, "ok", { n: 2 });
    }));
}

test("reserved names are no events of an application", async (context) => {
  const { channel } = await joined(await connected(context), unique("room:"));
  const [status, { reason }] = await answer(channel.push("reserved"));
  assert.equal(status, "error");
  assert.match(reason, /phx_reply/);
});

test("one text serves all who hear a broadcast, byte for byte", async () => {
  const topic = unique("room:");
  await withRaw("/socket", {}, (one) =>
    withRaw("/socket", {}, async (two) => {
      await one.join(topic);
      await two.join(topic);
      const frames = [one, two].map((it) => within("frame", new Promise((resolve) => it.socket.once("message", resolve))));
      one.send("1", null, topic, "shout", { text: "ü 世界 \u0000 </script>" });
      const [first, second] = await Promise.all(frames);
      assert.deepEqual(first, second);
    }));
});
