// Who is there, in both clients.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Presence } from "../../../clients/js/dist/towpath.js";
import { answer, connected, joined } from "../lib/client.mjs";
import { WAYS, client } from "../lib/own-client.mjs";
import { Inbox, unique } from "../lib/waiting.mjs";

for (const transport of WAYS) {
  test(`${transport}: presence is the same in both clients`, async (context) => {
    const topic = unique("presence:");
    const channel = client(context, { transport }).channel(topic, { key: "ann", meta: { tab: 1 } });
    const presence = new Presence(channel);
    const syncs = new Inbox();
    presence.onSync(() => syncs.add(presence.list((key, { metas }) => `${key} ${metas.length}`).toSorted().join(", ")));
    await answer(channel.join());
    const other = await joined(await connected(context), topic, { key: "bob", meta: {} });
    while ((await syncs.next()) !== "ann 1, bob 1");
    await answer(other.channel.leave());
    while ((await syncs.next()) !== "ann 1");
    assert.equal(presence.state.get("ann").metas[0].tab, 1);
  });
}
