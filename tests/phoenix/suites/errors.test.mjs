// What goes wrong, and what it does not touch.

import assert from "node:assert/strict";
import { test } from "node:test";

import { WAYS, answer, connected, ended, joined } from "../lib/client.mjs";
import { withRaw } from "../lib/raw-socket.mjs";
import { V1, V2, VERSIONS } from "../lib/versions.mjs";
import { unique } from "../lib/waiting.mjs";

for (const { name, options } of WAYS) {
  test(`${name}: a join that crashes is answered with join crashed`, async (context) => {
    const socket = await connected(context, options);
    const channel = socket.channel(unique("room:"), { crash: true });
    assert.deepEqual(await answer(channel.join()), ["error", { reason: "join crashed" }]);
    channel.leave();
    await joined(socket, unique("room:"));
  });

  test(`${name}: a crash ends its topic alone, and the client joins again by itself`, async (context) => {
    const socket = await connected(context, { ...options, rejoinAfterMs: () => 50 });
    const other = await joined(socket, unique("room:"));
    await answer(other.channel.push("set", { value: "kept" }));
    const { channel } = await joined(socket, unique("room:"));
    await answer(channel.push("set", { value: "lost" }));
    const end = ended(channel);
    channel.push("crash");
    assert.equal(await end, "error");
    assert.deepEqual(await answer(channel.push("get")), ["ok", { value: null }]);
    assert.deepEqual(await answer(other.channel.push("get")), ["ok", { value: "kept" }]);
  });

  test(`${name}: an event that no clause knows is an error of that push or topic, never of the socket`, async (context) => {
    const socket = await connected(context, options);
    const other = await joined(socket, unique("room:"));
    const { channel } = await joined(socket, unique("room:"));
    const first = await Promise.race([answer(channel.push("no such event")).then(([status]) => status), ended(channel)]);
    assert.equal(first, "error");
    assert.deepEqual(await answer(other.channel.push("echo", {})), ["ok", {}]);
  });

  test(`${name}: a payload that does not fit is answered with what was expected`, async (context) => {
    const { channel } = await joined(await connected(context, options), unique("room:"));
    const [status, { reason }] = await answer(channel.push("tell", { topic: 7 }));
    assert.equal(status, "error");
    assert.equal(typeof reason, "string");
    assert.deepEqual(await answer(channel.push("echo", {})), ["ok", {}]);
  });
}

for (const version of VERSIONS) {
  const { vsn } = version;

  test(`${vsn}: a crash is phx_error with the join_ref as its ref`, () =>
    withRaw("/socket", { version }, async (raw) => {
      const topic = unique("room:");
      await raw.join(topic, {}, "3");
      raw.send("3", "4", topic, "crash");
      const { payload, ...rest } = await raw.next();
      assert.deepEqual(rest, version.expected({ joinRef: "3", ref: "3", topic, event: "phx_error" }));
      assert.ok(payload.reason === undefined || payload.reason === "channel_crash", JSON.stringify(payload));
      await raw.join(topic, {}, "5");
    }));

  test(`${vsn}: a message to a topic that was never joined is an unmatched topic, each time`, () =>
    withRaw("/socket", { version }, async (raw) => {
      for (const ref of ["1", "2"]) {
        raw.send("1", ref, "room:never", "echo");
        await raw.expectReply(null, ref, "room:never", "error", { reason: "unmatched topic" });
      }
    }));

  test(`${vsn}: a message to a topic that was left is an unmatched topic`, () =>
    withRaw("/socket", { version }, async (raw) => {
      const topic = unique("room:");
      await raw.join(topic);
      raw.send("1", "2", topic, "phx_leave");
      while ((await raw.next()).event !== "phx_close");
      raw.send("1", "3", topic, "echo");
      await raw.expectReply(null, "3", topic, "error", { reason: "unmatched topic" });
    }));

  for (const [what, text] of [
    ["no JSON", "{"],
    ["a number", "7"],
    ["nothing", ""],
    ["the other version", vsn === V1.vsn ? '[null,"1","room:1","phx_join",{}]' : '{"topic":"room:1","event":"phx_join","payload":{},"ref":"1"}'],
    ["a part too few", vsn === V1.vsn ? '{"topic":"room:1","event":"phx_join","payload":{}}' : '[null,"1","room:1","phx_join"]'],
    ["a topic that is no string", vsn === V1.vsn ? '{"topic":1,"event":"e","payload":{},"ref":"1"}' : '[null,"1",1,"e",{}]'],
    ["too deep an array", "[".repeat(100_000)],
  ]) {
    test(`${vsn}: a text frame with ${what} closes the socket with 1011`, () =>
      withRaw("/socket", { version }, async (raw) => {
        raw.socket.send(text);
        assert.equal(await raw.closeCode(), 1011);
      }));
  }
}

test("parts of a text frame beyond the fifth are ignored", () =>
  withRaw("/socket", { version: V2 }, async (raw) => {
    const topic = unique("room:");
    raw.socket.send(JSON.stringify(["1", "1", topic, "phx_join", {}, "more", {}]));
    await raw.expectReply("1", "1", topic, "ok", {});
  }));

test("keys of a text frame of version 1 may come in any order", () =>
  withRaw("/socket", { version: V1 }, async (raw) => {
    const topic = unique("room:");
    raw.socket.send(JSON.stringify({ ref: "1", payload: {}, more: 1, event: "phx_join", topic, join_ref: "1" }));
    await raw.expectReply("1", "1", topic, "ok", {});
  }));

test("text that is not UTF-8 closes the socket with 1007", () =>
  withRaw("/socket", {}, async (raw) => {
    raw.socket.send(Buffer.of(0x22, 0xff, 0x22), { binary: false });
    assert.equal(await raw.closeCode(), 1007);
  }));
