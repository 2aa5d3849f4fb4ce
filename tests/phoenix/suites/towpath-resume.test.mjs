// What was missed, with Towpath's own client, which sees to it by itself.

import assert from "node:assert/strict";
import { test } from "node:test";

import { WAYS, client, inTopic, next } from "../lib/own-client.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { Inbox, unique } from "../lib/waiting.mjs";

for (const transport of WAYS) {
  test(`${transport}: what was missed is caught up without a word of the application's`, async (context) => {
    const proxy = await Proxy.start(context);
    const topic = unique("history:");
    const writer = await inTopic(client(context), topic);
    const channel = await inTopic(client(context, { transport, base: proxy.base }), topic);
    const said = new Inbox();
    channel.on("said", ({ n }) => said.add(n));
    channel.onResync(() => said.add("resync"));
    await writer.push("say", { n: 1 }).reply();
    assert.equal(await said.next(), 1);
    proxy.takes = false;
    const lost = next((hook) => channel.onError(hook), "error");
    proxy.cut();
    await lost;
    for (const n of [2, 3, 4]) await writer.push("say", { n }).reply();
    proxy.takes = true;
    for (const n of [2, 3, 4]) assert.equal(await said.next(), n);
    await writer.push("say", { n: 5 }).reply();
    assert.equal(await said.next(), 5);
    assert.equal(said.length, 0);
  });

  test(`${transport}: a larger gap than the history is told`, async (context) => {
    const proxy = await Proxy.start(context);
    const topic = unique("history:");
    const writer = await inTopic(client(context), topic);
    const channel = await inTopic(client(context, { transport, base: proxy.base }), topic);
    const resync = next((hook) => channel.onResync(hook), "resync");
    const lost = next((hook) => channel.onError(hook), "error");
    await writer.push("say", { n: 0 }).reply();
    proxy.takes = false;
    proxy.cut();
    await lost;
    for (let n = 1; n <= 8; n += 1) await writer.push("say", { n }).reply();
    proxy.takes = true;
    const [response] = await resync;
    assert.equal(response.resync, true);
    assert.equal(channel.lastSeenId === null, false);
  });
}
