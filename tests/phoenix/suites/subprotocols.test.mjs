// Subprotocols of a mount that names some.

import assert from "node:assert/strict";
import { test } from "node:test";

import { refusedWith, withRaw } from "../lib/raw-socket.mjs";
import { unique } from "../lib/waiting.mjs";

test("of the subprotocols the one that is known is answered", () =>
  withRaw("/sub", { protocols: ["sip"] }, (raw) => assert.equal(raw.socket.protocol, "sip")));

test("no subprotocol is needed", () => withRaw("/sub", {}, (raw) => raw.join(unique("room:"))));

test("a subprotocol that is not known is refused with 403", async () => {
  assert.equal(await refusedWith("/sub", { protocols: ["mqtt"] }), 403);
});
