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
    else news.add([event, payload.n]);
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
  return { ask, news, answers };
}

/** A topic's member in each of the three ways. */
async function members(context, name, options) {
  const { channel } = await joined(await connected(context, options), `history:${name}-left`);
  const inTopic = { ask: (event, payload) => answer(channel.push(event, payload)), news: new Inbox() };
  channel.on("said", ({ n }) => inTopic.news.add(["said", n]));
  const plain = new PlainSocket(wsAddress(`/history/${name}-left`), QUICK);
  const streams = new Streams(wsAddress(`/streams/${name}`), QUICK);
  const all = [inTopic, bare(plain), bare(streams.stream("left"))];
  for (const [socket, member] of [[plain, all[1]], [streams, all[2]]]) {
    context.after(() => socket.disconnect());
    socket.connect();
    const [ref, status] = await member.answers.next("the answer to the join");
    assert.deepEqual([ref, status], [null, "ok"]);
  }
  return all;
}

for (const { name, options } of WAYS) {
  test(`${name}: a consumer is the same for a topic, a plain socket and a stream`, async (context) => {
    const all = await members(context, unique("one-"), options);
    for (const [at, member] of all.entries()) {
      assert.deepEqual(await member.ask("say", { n: at }), ["ok", {}]);
      for (const { news } of all) assert.deepEqual(await news.next("said"), ["said", at]);
      assert.equal((await member.ask("what", {}))[0], "error");
    }
  });
}
