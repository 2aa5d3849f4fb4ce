// Who is there.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Presence } from "phoenix";

import { WAYS, answer, connected, heard, joined, opened } from "../lib/client.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { NODES } from "../lib/server.mjs";
import { Inbox, unique, within } from "../lib/waiting.mjs";

/** A client that is there as `key`, and what it sees. */
async function present(context, topic, key, meta = {}, options = {}) {
  const socket = await connected(context, options);
  const channel = socket.channel(topic, key === null ? {} : { key, meta });
  const presence = new Presence(channel);
  const syncs = new Inbox();
  const joins = new Inbox();
  const leaves = new Inbox();
  presence.onSync(() => syncs.add(view(presence)));
  presence.onJoin((who, current, { metas }) => joins.add([who, current !== undefined, metas.length]));
  presence.onLeave((who, { metas }) => leaves.add([who, metas.length]));
  assert.equal((await answer(channel.join()))[0], "ok");
  return { socket, channel, presence, syncs, joins, leaves };
}

/** Who is there with how many metas. */
function view(presence) {
  return Object.fromEntries(presence.list((key, { metas }) => [key, metas.length]));
}

/** Until the client sees exactly that. */
async function sees({ presence, syncs }, expected) {
  const wanted = JSON.stringify(Object.entries(expected).toSorted());
  while (JSON.stringify(Object.entries(view(presence)).toSorted()) !== wanted) await syncs.next(`view ${wanted}`);
}

for (const { name, options } of WAYS) {
  test(`${name}: whoever joins sees the state, and the others see who joins and leaves`, async (context) => {
    const topic = unique("presence:");
    const ann = await present(context, topic, "ann", { device: "desk" }, options);
    await sees(ann, { ann: 1 });
    const bob = await present(context, topic, "bob", {}, { ...options, node: NODES.at(-1) });
    await sees(bob, { ann: 1, bob: 1 });
    await sees(ann, { ann: 1, bob: 1 });
    assert.equal(bob.presence.list((_, { metas }) => metas[0].device)[0], "desk");
    bob.channel.leave();
    await sees(ann, { ann: 1 });
  });

  test(`${name}: an update is one diff with both metas`, async (context) => {
    const topic = unique("presence:");
    const ann = await present(context, topic, "ann", { typing: false }, options);
    await sees(ann, { ann: 1 });
    const [{ metas: [before] }] = ann.presence.list();
    const diffs = heard(ann.channel, "presence_diff");
    await answer(ann.channel.push("update", { meta: { typing: true } }));
    const [, { joins, leaves }] = await diffs.next();
    assert.equal(leaves.ann.metas[0].phx_ref, before.phx_ref);
    assert.equal(joins.ann.metas[0].phx_ref_prev, before.phx_ref);
    assert.equal(joins.ann.metas[0].typing, true);
    const [{ metas }] = ann.presence.list();
    assert.deepEqual(metas.map((it) => it.typing), [true]);
  });
}

test("several tabs of one user are several metas of one key", async (context) => {
  const topic = unique("presence:");
  const look = await present(context, topic, null);
  const tabs = [await present(context, topic, "ann", { tab: 1 }), await present(context, topic, "ann", { tab: 2 })];
  await sees(look, { ann: 2 });
  tabs[0].socket.disconnect();
  await sees(look, { ann: 1 });
  assert.deepEqual(look.presence.list((_, { metas }) => metas[0].tab), [2]);
  tabs[1].socket.disconnect();
  await sees(look, {});
});

test("every meta has a phx_ref of its own", async (context) => {
  const topic = unique("presence:");
  const look = await present(context, topic, null);
  await Promise.all(Array.from({ length: 10 }, (_, at) => present(context, topic, `user-${at % 5}`)));
  await sees(look, { "user-0": 2, "user-1": 2, "user-2": 2, "user-3": 2, "user-4": 2 });
  const refs = look.presence.list().flatMap(({ metas }) => metas.map((it) => it.phx_ref));
  assert.equal(new Set(refs).size, 10);
});

test("joins and leaves are told once each, however many come at once", async (context) => {
  const topic = unique("presence:");
  const look = await present(context, topic, null);
  await sees(look, {});
  const users = await Promise.all(Array.from({ length: 30 }, (_, at) => present(context, topic, `user-${at}`)));
  const told = new Set();
  while (told.size < 30) {
    const [who] = await look.joins.next();
    assert.ok(!told.has(who), `${who} joined twice`);
    told.add(who);
  }
  for (const { socket } of users) socket.disconnect();
  for (let left = 0; left < 30; left += 1) told.delete((await look.leaves.next())[0]);
  assert.equal(told.size, 0);
  await sees(look, {});
});

test("untrack takes away, and may be said twice", async (context) => {
  const topic = unique("presence:");
  const ann = await present(context, topic, "ann");
  await sees(ann, { ann: 1 });
  assert.equal((await answer(ann.channel.push("untrack")))[0], "ok");
  await sees(ann, {});
  assert.equal((await answer(ann.channel.push("untrack")))[0], "ok");
});

test("the server lists what the clients see", async (context) => {
  const topic = unique("presence:");
  const ann = await present(context, topic, "ann", { a: 1 });
  const bob = await present(context, topic, "bob", { b: 2 });
  await sees(bob, { ann: 1, bob: 1 });
  const [, list] = await answer(ann.channel.push("list"));
  assert.deepEqual(Object.keys(list).toSorted(), ["ann", "bob"]);
  const [, { entry }] = await answer(ann.channel.push("get", { key: "bob" }));
  assert.equal(entry.metas[0].b, 2);
  assert.deepEqual(await answer(ann.channel.push("get", { key: "cleo" })), ["ok", { entry: null }]);
});

test("after a reconnect nobody is told of those who stayed", async (context) => {
  const proxy = await Proxy.start(context);
  const topic = unique("presence:");
  const bob = await present(context, topic, "bob");
  const quick = { base: proxy.base, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20 };
  const ann = await present(context, topic, "ann", {}, quick);
  await sees(ann, { ann: 1, bob: 1 });
  while (ann.joins.length > 0) await ann.joins.next();
  const reopened = opened(ann.socket);
  const state = heard(ann.channel, "presence_state");
  proxy.cut();
  await reopened;
  await state.next();
  await sees(ann, { ann: 1, bob: 1 });
  const told = [];
  while (ann.joins.length > 0) told.push((await ann.joins.next())[0]);
  while (ann.leaves.length > 0) told.push((await ann.leaves.next())[0]);
  assert.ok(!told.includes("bob"), JSON.stringify(told));
  await sees(bob, { ann: 1, bob: 1 });
});

test("a crash of the topic ends its presence", async (context) => {
  const topic = unique("presence:");
  const look = await present(context, topic, null);
  const ann = await present(context, topic, "ann", {}, { rejoinAfterMs: () => 60_000 });
  await sees(look, { ann: 1 });
  ann.channel.push("crash");
  await sees(look, {});
});

test("a key that is a part of every object is refused or shown, and breaks nothing", async (context) => {
  const topic = unique("presence:");
  const look = await present(context, topic, null);
  for (const key of ["__proto__", "constructor", "prototype"]) {
    const socket = await connected(context);
    const channel = socket.channel(topic, { key, meta: {} });
    await answer(channel.join());
    channel.leave();
  }
  await present(context, topic, "ann");
  await within("ann", sees(look, { ann: 1 }));
});
