// The long-poll, request by request.

import assert from "node:assert/strict";
import { test } from "node:test";

import { LongPoll } from "phoenix";

import { answer, connected, joined, once } from "../lib/client.mjs";
import { RawPoll } from "../lib/raw-poll.mjs";
import { httpAddress } from "../lib/server.mjs";
import { V2, VERSIONS } from "../lib/versions.mjs";
import { STEP_MS, unique } from "../lib/waiting.mjs";

const LINES_MAX = 100;

/** A request that is no session's, with a step's time. */
function request(address, options = {}) {
  return fetch(address, { ...options, signal: AbortSignal.timeout(STEP_MS) });
}

for (const version of VERSIONS) {
  const { vsn } = version;

  test(`${vsn}: joined, polled: the answer, the broadcast, the push; then nothing`, async () => {
    const poll = await RawPoll.open("/socket", { version, params: { user: "ann" } });
    const topic = unique("room:");
    await poll.send("1", "1", topic, "phx_join", { announce: true });
    await poll.expectReply("1", "1", topic, "ok", {});
    await poll.expect(null, null, topic, "user_entered", { user: "ann" });
    await poll.expect("1", null, topic, "joined", { status: "connected", user: "ann" });
    assert.deepEqual(await poll.get(), { status: 204, token: poll.token, messages: [] });
  });

  test(`${vsn}: an event is published with 200 and comes back through the poll`, async () => {
    const poll = await RawPoll.open("/socket", { version, params: { user: "ann" } });
    const topic = unique("room:");
    await poll.join(topic);
    await poll.send("1", "2", topic, "new_msg", { text: "hi" });
    await poll.expect("1", null, topic, "new_msg", { text: "hi", seen_by: "ann" });
  });

  test(`${vsn}: a message to a topic that is not joined is 200, and its answer comes through the poll`, async () => {
    const poll = await RawPoll.open("/socket", { version });
    await poll.send("1", "1", "room:never", "echo", {});
    await poll.expectReply(null, "1", "room:never", "error", { reason: "unmatched topic" });
  });

  test(`${vsn}: a crash comes through the poll`, async () => {
    const poll = await RawPoll.open("/socket", { version });
    const topic = unique("room:");
    await poll.join(topic);
    await poll.send("1", "2", topic, "crash", {});
    const { payload: _, ...rest } = await poll.next();
    assert.deepEqual(rest, version.expected({ joinRef: "1", ref: "1", topic, event: "phx_error" }));
  });

  test(`${vsn}: without a content type the body is one frame`, async () => {
    const poll = await RawPoll.open("/socket", { version });
    const topic = unique("room:");
    const body = Buffer.from(poll.line("1", "1", topic, "phx_join"));
    assert.deepEqual(await poll.post(body, null), { status: 200 });
    await poll.expectReply("1", "1", topic, "ok", {});
  });
}

test("messages are strings, each one frame", async () => {
  const poll = await RawPoll.open("/socket");
  await poll.send("1", "1", unique("room:"), "phx_join", {});
  let answer;
  do answer = await poll.get();
  while (answer.status === 204);
  assert.deepEqual(Object.keys(answer).toSorted(), ["messages", "status", "token"]);
  assert.ok(answer.messages.every((it) => typeof it === "string" && Array.isArray(JSON.parse(it))));
});

test("no join_ref is needed on messages", async () => {
  const poll = await RawPoll.open("/socket");
  const topic = unique("room:");
  await poll.join(topic);
  await poll.send(null, "2", topic, "echo", { a: 1 });
  await poll.expectReply("1", "2", topic, "ok", { a: 1 });
});

test("a batch keeps its order, and a stale line in it is dropped", async () => {
  const poll = await RawPoll.open("/socket");
  const topic = unique("room:");
  await poll.join(topic, {}, "5");
  const lines = [
    poll.line("5", "6", topic, "echo", { n: 6 }),
    poll.line("4", "7", topic, "echo", { n: 7 }),
    poll.line("5", "8", topic, "echo", { n: 8 }),
  ];
  for (const separator of ["\n", "\r\n"]) {
    assert.deepEqual(await poll.post(lines.join(separator)), { status: 200 });
    await poll.expectReply("5", "6", topic, "ok", { n: 6 });
    await poll.expectReply("5", "8", topic, "ok", { n: 8 });
  }
});

test("a leave with a stale join_ref is ignored, one without a join_ref works, phx_close comes last", async () => {
  const poll = await RawPoll.open("/socket");
  const topic = unique("room:");
  await poll.join(topic, {}, "5");
  await poll.send("4", "6", topic, "phx_leave", {});
  await poll.send("5", "7", topic, "echo", {});
  await poll.expectReply("5", "7", topic, "ok", {});
  await poll.send(null, "8", topic, "phx_leave", {});
  const seen = [];
  while (seen.at(-1)?.event !== "phx_close") seen.push(await poll.next());
  assert.deepEqual(seen.at(-1), { joinRef: "5", ref: "5", topic, event: "phx_close", payload: {} });
  assert.ok(seen.some((it) => it.ref === "8" && it.payload.status === "ok"));
});

test("of 101 lines the first 100 are handled", async () => {
  const poll = await RawPoll.open("/socket");
  const topic = unique("room:");
  await poll.join(topic);
  const lines = Array.from({ length: LINES_MAX + 1 }, (_, n) => poll.line("1", `n${n}`, topic, "echo", { n }));
  assert.deepEqual(await poll.post(lines.join("\n")), { status: 200 });
  for (let n = 0; n < LINES_MAX; n += 1) await poll.expectReply("1", `n${n}`, topic, "ok", { n });
  await poll.send("1", "last", topic, "echo", {});
  await poll.expectReply("1", "last", topic, "ok", {});
});

test("a body of newlines costs nothing", async () => {
  const poll = await RawPoll.open("/socket");
  await poll.post("\n".repeat(1_000_000));
  const topic = unique("room:");
  const again = await RawPoll.open("/socket");
  await again.join(topic);
});

test("a session that a poll has not asked for is gone, and its topics end with the reason inactive", async (context) => {
  const topic = unique("room:");
  const watch = await joined(await connected(context), `watch:${topic}`);
  const end = once(watch.channel, "terminated");
  const poll = await RawPoll.open("/socket", { params: { user: "ann" } });
  await poll.join(topic);
  assert.deepEqual(await end, { topic, user: "ann", reason: "inactive" });
  assert.deepEqual(await poll.post(poll.line("1", "2", topic, "echo")), { status: 410 });
  const { status, token } = await poll.get();
  assert.equal(status, 410);
  assert.notEqual(token, poll.token);
});

test("a token that is none is 410: a new session for a poll, an end for a post", async () => {
  for (const token of ["", "nonsense", "SFMyNTY.g2gDYQFuBgAAaOXPiwFiAAFRgA.9gShOaPCMVYklRMi2bi1jGGGEQ1n5rsnhPvGUJk-QLQ"]) {
    const poll = new RawPoll("/socket");
    poll.token = token;
    assert.deepEqual(await poll.post(poll.line("1", "1", "room:1", "phx_join")), { status: 410 });
    const opened = await poll.get();
    assert.equal(opened.status, 410);
    assert.notEqual(opened.token, token);
  }
});

test("the token in a header goes before a stale one in the query", async () => {
  const poll = await RawPoll.open("/socket");
  const topic = unique("room:");
  await poll.join(topic);
  poll.headers = { "x-phoenix-longpoll-token": poll.token };
  poll.token = "stale";
  await poll.send("1", "2", topic, "echo", { a: 1 });
  await poll.expectReply("1", "2", topic, "ok", { a: 1 });
});

test("a parameter of the application's may be named token", async (context) => {
  const socket = await connected(context, { transport: LongPoll, params: { token: "mine" } });
  const { channel } = await joined(socket, unique("room:"));
  assert.deepEqual(await answer(channel.push("echo", { a: 1 })), ["ok", { a: 1 }]);
  const poll = await RawPoll.open("/socket", { params: { token: "mine" } });
  await poll.join(unique("room:"));
});

test("an empty parameter at the end of the query does no harm", async () => {
  const response = await request(`${httpAddress("/socket/longpoll", { vsn: "2.0.0" })}&`);
  assert.equal((await response.json()).status, 410);
});

test("a newer poll takes the place of an older one", async () => {
  const poll = await RawPoll.open("/socket");
  const topic = unique("room:");
  await poll.join(topic);
  const older = poll.get();
  const newer = poll.get();
  await poll.send("1", "2", topic, "echo", { a: 1 });
  const messages = (await Promise.all([older, newer])).flatMap((it) => it.messages);
  assert.deepEqual(messages.map((it) => V2.decode(it).ref), ["2"]);
});

test("answers are not to be kept by anybody", async () => {
  const response = await request(httpAddress("/socket/longpoll", { vsn: "2.0.0" }));
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.match(response.headers.get("content-type"), /^application\/json/);
  await response.json();
});

test("a preflight is answered for every header that is asked for", async () => {
  const headers = {
    origin: "https://good.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,x-phoenix-longpoll-token",
  };
  const response = await request(httpAddress("/socket/longpoll"), { method: "OPTIONS", headers });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  assert.equal(response.headers.get("access-control-allow-headers"), headers["access-control-request-headers"]);
  assert.match(response.headers.get("access-control-allow-methods"), /get, ?post, ?options/i);
  assert.equal(response.headers.get("access-control-max-age"), "3600");
  assert.equal(await response.text(), "");
});

for (const method of ["PUT", "DELETE"]) {
  test(`${method} is 400`, async () => {
    const response = await request(httpAddress("/socket/longpoll", { vsn: "2.0.0" }), { method });
    assert.equal(response.status, 400);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
  });
}

test("a body that is no frame is refused or ends its session, and harms no other", async () => {
  for (const body of ["{", "[1]", "####", '["1","1"]']) {
    const { token } = await RawPoll.open("/socket");
    const headers = { "content-type": "application/x-ndjson", "x-phoenix-longpoll-token": token };
    const address = httpAddress("/socket/longpoll", { vsn: "2.0.0" });
    const posted = await request(address, { method: "POST", headers, body });
    if (posted.status === 200) {
      const polled = await (await request(address, { headers })).json();
      assert.equal(polled.status, 410, body);
    }
    await (await RawPoll.open("/socket")).join(unique("room:"));
  }
});
