// Connections that break, and what the client gets back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { LongPoll } from "phoenix";
import WebSocket from "ws";

import { answer, closed, connected, ended, joined, opened, once } from "../lib/client.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { unique } from "../lib/waiting.mjs";

const TRANSPORTS = [
  ["WebSocket", WebSocket],
  ["long-poll", LongPoll],
];
const QUICK = { reconnectAfterMs: () => 20, rejoinAfterMs: () => 20 };

for (const [name, transport] of TRANSPORTS) {
  test(`${name}: a lost connection is made again and its topics are joined again`, async (context) => {
    const proxy = await Proxy.start(context);
    const socket = await connected(context, { base: proxy.base, transport, ...QUICK });
    const topics = [unique("room:"), unique("room:"), unique("room:")];
    const channels = await Promise.all(topics.map((topic) => joined(socket, topic)));
    const ends = channels.map(({ channel }) => ended(channel));
    const reopened = opened(socket);
    await proxy.breakOff(Promise.all(ends));
    assert.deepEqual(await Promise.all(ends), ["error", "error", "error"]);
    await reopened;
    for (const [n, { channel }] of channels.entries()) {
      assert.deepEqual(await answer(channel.push("echo", { n })), ["ok", { n }]);
    }
  });

  test(`${name}: what is pushed while there is no connection goes out after the join`, async (context) => {
    const proxy = await Proxy.start(context);
    const socket = await connected(context, { base: proxy.base, transport, ...QUICK });
    const { channel } = await joined(socket, unique("room:"));
    proxy.takes = false;
    const end = ended(channel);
    proxy.cut();
    await end;
    const answers = [1, 2, 3].map((n) => answer(channel.push("echo", { n })));
    proxy.takes = true;
    assert.deepEqual(await Promise.all(answers), [1, 2, 3].map((n) => ["ok", { n }]));
  });
}

test("params are made anew for each connection, and those of a join for each join", async (context) => {
  const proxy = await Proxy.start(context);
  let connections = 0;
  let joins = 0;
  const params = () => ({ user: `user-${(connections += 1)}` });
  const socket = await connected(context, { base: proxy.base, params, ...QUICK });
  const { channel } = await joined(socket, unique("room:"), () => ({ reply: { join: (joins += 1) } }));
  const reopened = opened(socket);
  proxy.cut();
  await reopened;
  const [, info] = await answer(channel.push("connect_info"));
  assert.match(info.params.user, /^user-[2-9]/);
  assert.ok(joins >= 2);
});

test("the old connection's topics end, those of the new one live", async (context) => {
  const proxy = await Proxy.start(context);
  const topic = unique("room:");
  const watch = await joined(await connected(context), `watch:${topic}`);
  const socket = await connected(context, { base: proxy.base, params: { user: "ann" }, ...QUICK });
  const { channel } = await joined(socket, topic);
  await answer(channel.push("set", { value: "old" }));
  const end = once(watch.channel, "terminated");
  proxy.cut();
  assert.deepEqual(await end, { topic, user: "ann", reason: "closed" });
  assert.deepEqual(await answer(channel.push("get")), ["ok", { value: null }]);
});

test("after 1001 the client comes back", async (context) => {
  const user = unique("user-");
  const socket = await connected(context, { params: { user }, ...QUICK });
  const { channel } = await joined(socket, unique("room:"));
  const code = closed(socket);
  const reopened = opened(socket);
  channel.push("disconnect", { id: `users:${user}` });
  assert.equal(await code, 1001);
  await reopened;
  assert.deepEqual(await answer(channel.push("echo", {})), ["ok", {}]);
});
