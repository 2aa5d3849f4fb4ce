import assert from "node:assert/strict";
import { test } from "node:test";

import { LongPollTransport } from "../build/long-poll-transport.js";
import { LongPollServer } from "./lib/long-poll-server.mjs";
import { Inbox } from "./lib/server.mjs";

const TOKEN = "a-token";

/** A long-poll that ends with the test, and what it tells. */
function start(context, server, options = {}) {
  const told = new Inbox();
  const transport = new LongPollTransport({ address: server.address, requestTimeoutMs: 5_000, ...options }, {
    opened: () => told.add(["opened"]),
    frame: (frame) => told.add(["frame", frame]),
    closed: (code) => told.add(["closed", code]),
  });
  context.after(() => transport.close());
  return { transport, told };
}

/** One that is open. */
async function opened(context, options) {
  const server = await LongPollServer.start(context);
  const { transport, told } = start(context, server, options);
  (await server.next("GET")).answer({ status: 410, token: TOKEN, messages: [] });
  assert.deepEqual(await told.next(), ["opened"]);
  return { server, transport, told };
}

test("the token that opens it goes with every request, the one of the user only with the first", async (context) => {
  const server = await LongPollServer.start(context);
  const { transport, told } = start(context, server, { authToken: "who" });
  const headers = ({ headers }) => [headers["x-phoenix-authtoken"], headers["x-phoenix-longpoll-token"]];
  const first = await server.next("GET");
  assert.deepEqual(headers(first), ["who", undefined]);
  first.answer({ status: 410, token: TOKEN, messages: [] });
  await told.next();
  transport.send("[1]");
  assert.deepEqual([headers(await server.next("GET")), headers(await server.next("POST"))], [[undefined, TOKEN], [undefined, TOKEN]]);
});

test("frames come in order, bytes in base64", async (context) => {
  const { server, told } = await opened(context);
  (await server.next("GET")).answer({ status: 200, messages: ["[1]", "AQI=", "[2]"] });
  assert.deepEqual([await told.next(), await told.next()], [["frame", "[1]"], ["frame", Uint8Array.of(1, 2).buffer]]);
  assert.deepEqual(await told.next(), ["frame", "[2]"]);
});

for (const body of [{}, { status: 200, messages: [] }, { status: 204 }, { status: 410 }, null]) {
  test(`who is answered with ${JSON.stringify(body)} has no session and does not ask again`, async (context) => {
    const server = await LongPollServer.start(context);
    const { told } = start(context, server);
    (await server.next("GET")).answer(body);
    assert.equal((await told.next())[0], "closed");
    assert.equal(server.waiting("GET"), 0);
  });
}

for (const body of [{ status: 204 }, { status: 200, messages: [] }]) {
  test(`a server that answers with ${JSON.stringify(body)} at once is not asked without a break`, async (context) => {
    // The first request may arrive late, so the time counts from before it.
    const startedAtMs = performance.now();
    const { server } = await opened(context);
    let atMs;
    for (let at = 0; at < 4; at += 1) {
      const request = await server.next("GET");
      atMs = request.atMs;
      request.answer(body);
    }
    const tookMs = atMs - startedAtMs;
    assert.ok(tookMs > 3 * 80, `three answers took ${tookMs} ms`);
  });
}

test("what was sent before it is closed still goes out, in order, and nothing is told", async (context) => {
  const { server, transport, told } = await opened(context);
  const reading = await server.next("GET");
  transport.send("[1]");
  const first = await server.next("POST");
  transport.send("[2]");
  transport.close();
  await reading.closed;
  assert.equal(first.body, "[1]");
  first.answer({ status: 200 });
  const second = await server.next("POST");
  assert.equal(second.body, "[2]");
  second.answer({ status: 200 });
  await second.closed;
  assert.deepEqual([told.length, transport.bufferedBytes], [0, 0]);
});

test("nobody waits for ever for what goes out after the close", async (context) => {
  const { server, transport, told } = await opened(context, { requestTimeoutMs: 2_000 });
  transport.send("[1]");
  transport.close();
  const post = await server.next("POST");
  await post.closed;
  assert.equal(told.length, 0);
});

test("a post that fails is the end, and what waits is dropped", async (context) => {
  const { server, transport, told } = await opened(context);
  transport.send("[1]");
  const post = await server.next("POST");
  transport.send("[2]");
  post.answer({ status: 408 });
  assert.deepEqual(await told.next(), ["closed", 1011]);
  assert.deepEqual([transport.bufferedBytes, server.waiting("POST")], [0, 0]);
});

test("a session that is gone, and one that is forbidden, are told apart", async (context) => {
  const { server, told } = await opened(context);
  (await server.next("GET")).answer({ status: 410, token: "another", messages: [] });
  assert.deepEqual(await told.next(), ["closed", 3410]);
  const refused = start(context, server);
  (await server.next("GET")).answer({ status: 403 });
  assert.deepEqual(await refused.told.next(), ["closed", 1008]);
});
