import assert from "node:assert/strict";
import { test } from "node:test";

import { Endpoint } from "../build/endpoint.js";
import { queryOf, valueOf } from "../build/params.js";

test("an address serves both ways to the server", () => {
  for (const [address, secure] of [["ws://a.example:1/socket", ""], ["https://a.example:1/socket/", "s"]]) {
    const endpoint = new Endpoint(address);
    assert.equal(endpoint.webSocket("/websocket", { vsn: "2.0.0" }), `ws${secure}://a.example:1/socket/websocket?vsn=2.0.0`);
    assert.equal(endpoint.http("/longpoll", {}), `http${secure}://a.example:1/socket/longpoll`);
  }
});

test("a query of the address stays, before the params", () => {
  const endpoint = new Endpoint("ws://a.example/chat?room=1");
  assert.equal(endpoint.webSocket("", { name: "ann" }), "ws://a.example/chat?room=1&name=ann");
});

test("what is no address of a server is refused", () => {
  for (const address of ["/socket", "ftp://a.example/socket", ""]) assert.throws(() => new Endpoint(address), TypeError);
});

test("params are escaped, nested and left out", () => {
  assert.equal(queryOf({ "a b": "ü&=", n: 1, gone: undefined, none: null }), "a+b=%C3%BC%26%3D&n=1");
  assert.equal(decodeURIComponent(queryOf({ user: { id: 1, tags: ["x", "y"] } })), "user[id]=1&user[tags][]=x&user[tags][]=y");
});

test("a source is a value, a function or a promise of one", async () => {
  assert.deepEqual(await Promise.all([valueOf(1), valueOf(() => 2), valueOf(async () => 3)]), [1, 2, 3]);
});
