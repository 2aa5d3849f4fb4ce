// What was missed, with the unmodified client and its join params.

import assert from "node:assert/strict";
import { test } from "node:test";

import { WAYS, answer, connected, heard, joined, opened } from "../lib/client.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { NODES } from "../lib/server.mjs";
import { unique } from "../lib/waiting.mjs";

const HISTORY_SIZE = 5;

/** A channel that remembers the last message that it saw. */
async function reader(socket, topic, lastSeenId) {
  const state = { lastSeenId };
  const channel = socket.channel(topic, () => (state.lastSeenId === undefined ? {} : { last_seen_id: state.lastSeenId }));
  const said = heard(channel, "said");
  channel.on("said", ({ last_seen_id }) => (state.lastSeenId = last_seen_id));
  const [status, response] = await answer(channel.join());
  assert.equal(status, "ok");
  state.lastSeenId ??= response.last_seen_id;
  return { channel, said, response, state };
}

async function say({ channel }, ...numbers) {
  for (const n of numbers) assert.deepEqual(await answer(channel.push("say", { n })), ["ok", {}]);
}

async function hears({ said }, ...numbers) {
  for (const n of numbers) assert.equal((await said.next(`said ${n}`))[1].n, n);
}

for (const { name, options } of WAYS) {
  test(`${name}: whoever joins again first gets what was missed, in order and once`, async (context) => {
    const topic = unique("history:");
    const writer = await reader(await connected(context, { node: NODES.at(-1) }), topic);
    const socket = await connected(context, options);
    const first = await reader(socket, topic);
    await say(writer, 1, 2);
    await hears(first, 1, 2);
    await answer(first.channel.leave());
    await say(writer, 3, 4, 5);
    const second = await reader(socket, topic, first.state.lastSeenId);
    assert.notEqual(second.response.resync, true);
    await say(writer, 6);
    await hears(second, 3, 4, 5, 6);
    assert.equal(second.said.length, 0);
  });

  test(`${name}: a gap that is larger than the history is a resync`, async (context) => {
    const topic = unique("history:");
    const writer = await reader(await connected(context), topic);
    const socket = await connected(context, options);
    const first = await reader(socket, topic);
    await say(writer, 0);
    await hears(first, 0);
    await answer(first.channel.leave());
    const numbers = Array.from({ length: HISTORY_SIZE + 3 }, (_, at) => at + 1);
    await say(writer, ...numbers);
    const { response } = await reader(socket, topic, first.state.lastSeenId);
    assert.equal(response.resync, true);
  });
}

test("history knows nobody: whoever comes back is told what it said to the others, too", async (context) => {
  const topic = unique("history:");
  const other = await reader(await connected(context), topic);
  const first = await reader(await connected(context), topic);
  assert.deepEqual(await answer(first.channel.push("say_others", { n: 1 })), ["ok", {}]);
  await hears(other, 1);
  assert.equal(first.said.length, 0);
  const again = await reader(await connected(context), topic, first.state.lastSeenId);
  await hears(again, 1);
});

test("a new reader gets a position and nothing old", async (context) => {
  const topic = unique("history:");
  const writer = await reader(await connected(context), topic);
  await say(writer, 1, 2);
  const second = await reader(await connected(context), topic);
  assert.equal(typeof second.response.last_seen_id, "string");
  assert.notEqual(second.response.resync, true);
  await say(writer, 3);
  await hears(second, 3);
});

for (const lastSeenId of ["nonsense", "", "0-18446744073709551616", "x".repeat(1000)]) {
  test(`a position that was never given (${lastSeenId.slice(0, 25)}) is a resync`, async (context) => {
    const { channel, response } = await reader(await connected(context), unique("history:"), lastSeenId);
    assert.equal(response.resync, true);
    assert.deepEqual(await answer(channel.push("say", { n: 1 })), ["ok", {}]);
  });
}

for (const lastSeenId of [7, {}, []]) {
  test(`what is no text (${JSON.stringify(lastSeenId)}) is no position`, async (context) => {
    const { response } = await reader(await connected(context), unique("history:"), lastSeenId);
    assert.equal(response.resync, false);
  });
}

test("a connection that is cut again and again loses and doubles nothing", async (context) => {
  const proxy = await Proxy.start(context);
  const topic = unique("history:");
  const writer = await reader(await connected(context), topic);
  const socket = await connected(context, { base: proxy.base, reconnectAfterMs: () => 10, rejoinAfterMs: () => 10 });
  const channel = await reader(socket, topic);
  for (let n = 0; n < 50; n += 1) {
    await say(writer, n);
    if (n % 10 === 5) {
      const reopened = opened(socket);
      proxy.cut();
      await reopened;
    }
    await hears(channel, n);
  }
  assert.equal(channel.said.length, 0);
});
