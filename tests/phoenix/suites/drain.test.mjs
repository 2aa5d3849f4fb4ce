// What clients see of a server that stops. It is stopped by this suite: TOWPATH_DRAIN_URL names
// one that nobody else needs; without it there is nothing to test here.

import assert from "node:assert/strict";
import { test } from "node:test";

import { VERSIONS } from "../lib/versions.mjs";
import { unique, within } from "../lib/waiting.mjs";

const node = process.env.TOWPATH_DRAIN_URL;
const skip = node === undefined && "TOWPATH_DRAIN_URL is not set";

test("a server that stops closes everybody with 1012", { skip }, async (context) => {
  const { RawSocket } = await import("../lib/raw-socket.mjs");
  const { closed, connected, joined } = await import("../lib/client.mjs");
  const options = (at) => ({ node, version: VERSIONS[at % 2] });
  const sockets = await Promise.all(Array.from({ length: 40 }, (_, at) => RawSocket.open("/socket", options(at))));
  for (const raw of sockets) await raw.join(unique("room:"));
  const socket = await connected(context, { node, reconnectAfterMs: () => 60_000 });
  const { channel } = await joined(socket, unique("room:"));
  const codes = Promise.all([...sockets.map((it) => it.closed), closed(socket)]);
  channel.push("drain");
  assert.deepEqual(new Set(await within("end of everybody", codes)), new Set([1012]));
});
