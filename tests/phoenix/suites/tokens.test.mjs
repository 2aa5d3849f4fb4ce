// Who connects, told outside of the address.

import assert from "node:assert/strict";
import { test } from "node:test";

import { LongPoll } from "phoenix";
import WebSocket from "ws";

import { answer, connected, ended, joined, once, opened } from "../lib/client.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { RawPoll } from "../lib/raw-poll.mjs";
import { RawSocket, refusedWith, withRaw } from "../lib/raw-socket.mjs";
import { unique } from "../lib/waiting.mjs";

/** The data "u-42", signed with the secret of 64 × "a" and the salt "user auth". */
const TOKEN =
  "SFMyNTY.g2gDbQAAAAR1LTQybgYAAGjlz4sBYgABUYA.7hMNMQzUAMLcYSqu-k0QKgOvtsVgokGhipXtDgNGbFY";
const USER = "u-42";
/** A mount that takes any token, and speaks `sip` besides `phoenix`. */
const ANY = "/any-token";

const offer = (encoded) => ["phoenix", `base64url.bearer.phx.${encoded}`];

/** The token that the application has of a raw socket. */
async function tokenOf(raw) {
  const topic = unique("room:");
  await raw.join(topic);
  raw.send("1", "2", topic, "connect_info");
  return (await raw.next()).payload.response.x_headers["x-phoenix-authtoken"];
}

async function userOf(socket) {
  const { channel } = await joined(socket, unique("room:"), { announce: false });
  const message = once(channel, "new_msg");
  channel.push("new_msg", {});
  return (await message).seen_by;
}

for (const [name, transport] of [["WebSocket", WebSocket], ["long-poll", LongPoll]]) {
  test(`${name}: the client's authToken reaches the application`, async (context) => {
    const socket = await connected(context, { mount: "/auth", transport, authToken: TOKEN });
    assert.equal(await userOf(socket), USER);
  });

  test(`${name}: a token that is made anew for each connection`, async (context) => {
    const proxy = await Proxy.start(context);
    let made = 0;
    const authToken = () => ((made += 1), TOKEN);
    const options = { mount: "/auth", base: proxy.base, transport, authToken, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20 };
    const socket = await connected(context, options);
    const { channel } = await joined(socket, unique("room:"));
    const reopened = opened(socket);
    await proxy.breakOff(ended(channel));
    await reopened;
    assert.deepEqual(await answer(channel.push("echo", {})), ["ok", {}]);
    assert.ok(made >= 2);
  });
}

test("the subprotocol phoenix is answered, without the token", async () => {
  const raw = await RawSocket.open("/auth", { protocols: offer(Buffer.from(TOKEN).toString("base64url")) });
  assert.equal(raw.socket.protocol, "phoenix");
  await raw.join(unique("room:"));
  await raw.close();
});

test("a token may come in either alphabet of base64, padded or not", async () => {
  const token = "??>???>";
  for (const encoded of ["Pz8+Pz8/Pg==", "Pz8+Pz8/Pg", "Pz8-Pz8_Pg==", "Pz8-Pz8_Pg"]) {
    assert.equal(Buffer.from(encoded, "base64").toString(), token);
    const offered = offer(encoded).join(", ");
    await withRaw(ANY, { protocols: ["phoenix"], offered }, async (raw) => {
      assert.equal(raw.socket.protocol, "phoenix");
      assert.equal(await tokenOf(raw), token, encoded);
    });
  }
});

test("a mount with subprotocols of its own takes the client's token, too", async (context) => {
  await joined(await connected(context, { mount: ANY, authToken: TOKEN }), unique("room:"));
  await withRaw(ANY, { protocols: ["sip"] }, (raw) => assert.equal(raw.socket.protocol, "sip"));
  assert.equal(await refusedWith(ANY, { protocols: ["mqtt"] }), 403);
});

for (const [what, protocols] of [
  ["no token", []],
  ["a token of nobody's", offer(Buffer.from(`${TOKEN}x`).toString("base64url"))],
  ["garbage", offer("!!!!")],
  ["an empty token", offer("")],
]) {
  test(`${what} is refused with 403`, async () => {
    assert.equal(await refusedWith("/auth", { protocols }), 403);
  });
}

test("two tokens are none", async () => {
  const [phoenix, token] = offer(Buffer.from(TOKEN).toString("base64url"));
  assert.equal(await refusedWith("/auth", { protocols: [phoenix, token, `${token}x`] }), 403);
});

test("long-poll: the token is a header of the first request", async () => {
  const poll = await RawPoll.open("/auth", { headers: { "x-phoenix-authtoken": TOKEN } });
  poll.headers = {};
  await poll.join(unique("room:"));
  assert.equal((await new RawPoll("/auth").get()).status, 403);
  assert.equal((await new RawPoll("/auth", { headers: { "x-phoenix-authtoken": `${TOKEN}x` } }).get()).status, 403);
});

test("where no token is asked for, one does no harm, and is seen by nobody", async (context) => {
  const socket = await connected(context, { authToken: TOKEN });
  const { channel } = await joined(socket, unique("room:"));
  const [status, info] = await answer(channel.push("connect_info", {}));
  assert.equal(status, "ok");
  assert.equal(info.sec_websocket_headers["sec-websocket-protocol"], "phoenix");
  assert.doesNotMatch(JSON.stringify(info), /bearer|authtoken/);
});
