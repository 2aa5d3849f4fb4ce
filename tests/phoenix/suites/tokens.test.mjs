// Who connects, told outside of the address.

import assert from "node:assert/strict";
import { test } from "node:test";

import { LongPoll } from "phoenix";
import WebSocket from "ws";

import { answer, connected, ended, joined, opened } from "../lib/client.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { RawPoll } from "../lib/raw-poll.mjs";
import { RawSocket, refusedWith, withRaw } from "../lib/raw-socket.mjs";
import { unique } from "../lib/waiting.mjs";

/** The data "u-42", signed with the secret of 64 × "a" and the salt "user auth". */
const TOKEN =
  "SFMyNTY.g2gDbQAAAAR1LTQybgYAAGjlz4sBYgABUYA.7hMNMQzUAMLcYSqu-k0QKgOvtsVgokGhipXtDgNGbFY";
const USER = "u-42";

const offer = (encoded) => ["phoenix", `base64url.bearer.phx.${encoded}`];

async function userOf(socket) {
  const { channel } = await joined(socket, unique("room:"), { announce: false });
  const message = new Promise((resolve) => channel.on("new_msg", resolve));
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
  const encodings = ["base64", "base64url"].map((it) => Buffer.from(TOKEN).toString(it));
  for (const encoded of encodings) {
    const protocols = offer(encoded.replace(/=/g, ""));
    await withRaw("/auth", { protocols }, (raw) => raw.join(unique("room:")));
  }
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

test("where no token is asked for, one does no harm", async (context) => {
  const socket = await connected(context, { authToken: TOKEN });
  await joined(socket, unique("room:"));
});
