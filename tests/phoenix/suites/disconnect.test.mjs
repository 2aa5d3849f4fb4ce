// Ending connections by the id of their socket.

import assert from "node:assert/strict";
import { test } from "node:test";

import { answer, connected, joined, once } from "../lib/client.mjs";
import { RawPoll } from "../lib/raw-poll.mjs";
import { RawSocket } from "../lib/raw-socket.mjs";
import { NODES } from "../lib/server.mjs";
import { VERSIONS } from "../lib/versions.mjs";
import { unique } from "../lib/waiting.mjs";

/** Ends all connections of `user`, from the last node. */
async function disconnect(context, user) {
  const { channel } = await joined(await connected(context, { node: NODES.at(-1) }), unique("room:"));
  assert.equal((await answer(channel.push("disconnect", { id: `users:${user}` })))[0], "ok");
}

for (const version of VERSIONS) {
  test(`${version.vsn}: every WebSocket with the id is closed with 1001, and its topics end`, async (context) => {
    const user = unique("user-");
    const topics = [unique("room:"), unique("room:")];
    const socket = await connected(context);
    const watches = await Promise.all(topics.map((topic) => joined(socket, `watch:${topic}`)));
    const ends = watches.map(({ channel }) => once(channel, "terminated"));
    const one = await RawSocket.open("/socket", { version, params: { user } });
    const two = await RawSocket.open("/socket", { version, params: { user } });
    await one.join(topics[0], {}, "1");
    await one.join(topics[1], {}, "2");
    await disconnect(context, user);
    assert.deepEqual([await one.closeCode(), await two.closeCode()], [1001, 1001]);
    assert.deepEqual(
      await Promise.all(ends),
      topics.map((topic) => ({ topic, user, reason: "disconnected" })),
    );
  });

  test(`${version.vsn}: a long-poll with the id is gone`, async (context) => {
    const user = unique("user-");
    const poll = await RawPoll.open("/socket", { version, params: { user } });
    await poll.join(unique("room:"));
    await disconnect(context, user);
    let answered;
    do answered = await poll.get();
    while (answered.status === 200 || answered.status === 204);
    assert.equal(answered.status, 410);
    assert.notEqual(answered.token, poll.token);
  });
}

test("other users and those without an id stay", async (context) => {
  const user = unique("user-");
  const [other, nobody] = [
    await joined(await connected(context, { params: { user: `${user}-other` } }), unique("room:")),
    await joined(await connected(context), unique("room:")),
  ];
  const gone = await RawSocket.open("/socket", { params: { user } });
  await disconnect(context, user);
  await gone.closeCode();
  for (const { channel } of [other, nobody]) assert.deepEqual(await answer(channel.push("echo", {})), ["ok", {}]);
});

test("another event on the id's topic does nothing", async (context) => {
  const user = unique("user-");
  const { channel } = await joined(await connected(context, { params: { user } }), unique("room:"));
  await answer(channel.push("tell", { topic: `users:${user}`, event: "news", payload: {} }));
  assert.deepEqual(await answer(channel.push("echo", {})), ["ok", {}]);
});
