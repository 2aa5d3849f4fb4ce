// One consumer behind a topic, a plain socket and a stream.

import assert from "node:assert/strict";
import { test } from "node:test";

import { PlainSocket, Streams } from "../../../clients/js/dist/towpath.js";
import { WAYS, answer, connected, joined } from "../lib/client.mjs";
import { QUICK } from "../lib/own-client.mjs";
import { wsAddress } from "../lib/server.mjs";
import { Inbox, unique } from "../lib/waiting.mjs";

/** A client without Phoenix: what it sends, hears and is answered. */
function bare(source) {
  const [news, answers] = [new Inbox(), new Inbox()];
  source.onMessage(({ event, ref, payload }) => {
    if (event === "phx_reply") answers.add([ref, payload.status, payload.response]);
    else news.add([event, payload]);
  });
  let refs = 0;
  const ask = async (event, payload) => {
    refs += 1;
    const ref = `${refs}`;
    source.send({ event, payload, ref });
    const [to, status, response] = await answers.next(`the answer to ${event}`);
    assert.equal(to, ref);
    return [status, response];
  };
  const tell = (event, payload) => source.send({ event, payload });
  return { ask, tell, news, answers };
}

/** A room's member in each of the three ways. */
async function members(context, name, options) {
  const { channel } = await joined(await connected(context, { ...options, params: { user: "ann" } }), `room:${name}`);
  const inTopic = {
    ask: (event, payload) => answer(channel.push(event, payload)),
    tell: (event, payload) => channel.push(event, payload),
    news: new Inbox(),
  };
  for (const event of ["shout", "new_msg", "heard"]) channel.on(event, (payload) => inTopic.news.add([event, payload]));
  const plain = new PlainSocket(wsAddress(`/rooms/${name}`), { ...QUICK, params: { user: "bob" } });
  const streams = new Streams(wsAddress(`/room-streams/${name}`), { ...QUICK, params: { user: "cid" } });
  const all = [inTopic, bare(plain), bare(streams.stream("room"))];
  for (const [socket, member] of [[plain, all[1]], [streams, all[2]]]) {
    context.after(() => socket.disconnect());
    socket.connect();
    assert.deepEqual(await member.answers.next("the answer to the join"), [null, "ok", {}]);
  }
  return all;
}

for (const { name, options } of WAYS) {
  test(`${name}: a room is the same for a topic, a plain socket and a stream`, async (context) => {
    const all = await members(context, unique("one-"), options);
    const elsewhere = unique("elsewhere:");
    for (const { ask } of all) {
      assert.deepEqual(await ask("subscribe", { topic: elsewhere }), ["ok", {}]);
      assert.deepEqual(await ask("set", { value: 7 }), ["ok", {}]);
    }
    for (const [at, member] of all.entries()) {
      assert.deepEqual(await member.ask("get", {}), ["ok", { value: 7 }]);
      const told = { topic: elsewhere, event: "news", payload: { from: at } };
      assert.deepEqual(await member.ask("tell", told), ["ok", {}]);
      for (const { news } of all) assert.deepEqual(await news.next("news"), ["heard", told]);
      assert.deepEqual(await member.ask("echo", { at }), ["ok", { at }]);
      assert.deepEqual(await member.ask("error", { at }), ["error", { at }]);
      assert.deepEqual(await member.ask("shout", { from: at }), ["ok", {}]);
      for (const { news } of all) assert.deepEqual(await news.next("shout"), ["shout", { from: at }]);
      // It is intercepted: each consumer adds its own user.
      member.tell("new_msg", { body: at });
      for (const [reader, user] of ["ann", "bob", "cid"].entries()) {
        const [event, { body, seen_by }] = await all[reader].news.next("new_msg");
        assert.deepEqual([event, body, seen_by], ["new_msg", at, user]);
      }
    }
  });
}

test("two streams of a socket hear what each has subscribed to", async (context) => {
  const name = unique("two-");
  const streams = new Streams(wsAddress(`/room-streams/${name}`), { ...QUICK, params: { user: "dee" } });
  const [room, next] = ["room", "next"].map((stream) => bare(streams.stream(stream)));
  context.after(() => streams.disconnect());
  streams.connect();
  for (const { answers } of [room, next]) {
    assert.deepEqual(await answers.next("the answer to the join"), [null, "ok", {}]);
  }
  const elsewhere = unique("elsewhere:");
  for (const topic of [elsewhere, `room:${name}`]) {
    assert.deepEqual(await next.ask("subscribe", { topic }), ["ok", {}]);
  }
  assert.deepEqual(await room.ask("subscribe", { topic: elsewhere }), ["ok", {}]);
  const told = { topic: elsewhere, event: "news", payload: { n: 1 } };
  assert.deepEqual(await room.ask("tell", told), ["ok", {}]);
  for (const { news } of [room, next]) assert.deepEqual(await news.next("news"), ["heard", told]);
  // The topic of one is heard by the other, and by its own peer as before.
  assert.deepEqual(await room.ask("shout", { n: 2 }), ["ok", {}]);
  assert.deepEqual(await room.news.next("shout"), ["shout", { n: 2 }]);
  const shout = { topic: `room:${name}`, event: "shout", payload: { n: 2 } };
  assert.deepEqual(await next.news.next("shout"), ["heard", shout]);
  // One that leaves takes its own subscriptions with it.
  assert.deepEqual(await next.ask("phx_leave", {}), ["ok", {}]);
  for (const event of ["phx_close", "you_left"]) assert.equal((await next.news.next(event))[0], event);
  assert.deepEqual(await room.ask("tell", { ...told, payload: { n: 3 } }), ["ok", {}]);
  assert.deepEqual((await room.news.next("news"))[1].payload, { n: 3 });
  assert.deepEqual(await room.ask("echo", {}), ["ok", {}]);
  assert.equal(next.news.length, 0);
});
