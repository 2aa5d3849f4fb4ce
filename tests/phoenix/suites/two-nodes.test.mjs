// The same on two nodes: TOWPATH_URL_2 names the second. On one node the cases hold as well.

import assert from "node:assert/strict";
import { test } from "node:test";

import { LongPoll } from "phoenix";

import { WAYS, answer, connected, heard, joined, once } from "../lib/client.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { RawPoll } from "../lib/raw-poll.mjs";
import { NODES } from "../lib/server.mjs";
import { VERSIONS } from "../lib/versions.mjs";
import { unique } from "../lib/waiting.mjs";

for (const { name, options } of WAYS) {
  test(`${name}: a broadcast reaches the other node`, async (context) => {
    const topic = unique("room:");
    const [one, two] = await Promise.all(
      NODES.map(async (node) => joined(await connected(context, { ...options, node }), topic)),
    );
    const shout = once(two.channel, "shout");
    assert.deepEqual(await answer(one.channel.push("shout", { from: "the first" })), ["ok", {}]);
    assert.deepEqual(await shout, { from: "the first" });
  });
}

test("the npm client polls through a balancer that sends its connections to either node", async (context) => {
  const proxy = await Proxy.start(context);
  const topic = unique("room:");
  const { channel } = await joined(await connected(context, { transport: LongPoll, base: proxy.base }), topic);
  const inbox = heard(channel, "shout");
  for (let n = 0; n < 20; n += 1) {
    assert.deepEqual(await answer(channel.push("echo", { n })), ["ok", { n }]);
    await answer(channel.push("shout", { n }));
    assert.deepEqual(await inbox.next(), ["shout", { n }]);
  }
});

for (const version of VERSIONS) {
  test(`${version.vsn}: a long-poll may ask a different node each time`, async () => {
    const poll = await RawPoll.open("/socket", { version, nodes: NODES });
    const topic = unique("room:");
    await poll.join(topic);
    for (let n = 0; n < 10; n += 1) {
      await poll.send("1", `n${n}`, topic, "echo", { n });
      await poll.expectReply("1", `n${n}`, topic, "ok", { n });
    }
  });

  for (const [what, order] of [["the post", [0, 1]], ["the poll", [1, 0]]]) {
    test(`${version.vsn}: ${what} of a long-poll may land on the other node`, async () => {
      const poll = await RawPoll.open("/socket", { version, nodes: [NODES[0]] });
      const [posts, polls] = order.map((at) => NODES[1 - at]);
      const topic = unique("room:");
      poll.nodes = [posts];
      await poll.send("1", "1", topic, "phx_join", {});
      poll.nodes = [polls];
      await poll.expectReply("1", "1", topic, "ok", {});
    });
  }
}
