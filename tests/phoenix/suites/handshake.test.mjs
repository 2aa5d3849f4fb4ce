// How a connection is let in, and what is known of it.

import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";

import { RawPoll } from "../lib/raw-poll.mjs";
import { refusedWith, withRaw } from "../lib/raw-socket.mjs";
import { NODES, httpAddress, wsAddress } from "../lib/server.mjs";
import { V1, V2, VERSIONS } from "../lib/versions.mjs";
import { STEP_MS, unique, within } from "../lib/waiting.mjs";

const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const HEADERS = {
  "user-agent": "a suite",
  "x-one": "1",
  "x-two": "zwei",
  "x-from": "here",
  traceparent: PARENT,
  tracestate: "a=b",
  cookie: "secret=1",
  authorization: "Bearer secret",
};

/** What the application says of the connection; `speak` is a raw socket or a long-poll with a topic joined. */
async function connectInfo(speak, topic) {
  await speak.join(topic);
  await speak.send("1", "2", topic, "connect_info");
  const { payload } = await speak.next();
  assert.equal(payload.status, "ok");
  return payload.response;
}

/** `address` is where the client has asked. */
function checkInfo(info, address) {
  assert.equal(info.params.user, "ann");
  assert.equal(info.user_agent, "a suite");
  assert.deepEqual([info.x_headers["x-one"], info.x_headers["x-two"], info.x_headers["x-from"]], ["1", "zwei", "here"]);
  assert.equal(info.trace_headers.traceparent, PARENT);
  assert.equal(info.trace_headers.tracestate, "a=b");
  assert.match(info.peer.address, /^(::ffff:)?127\.0\.0\.1$|^::1$/);
  assert.equal(typeof info.peer.port, "number");
  const { protocol, hostname, port } = new URL(address);
  const { scheme, host } = info.uri;
  assert.deepEqual([`${scheme}:`, host, info.uri.port], [protocol, hostname, port === "" ? null : Number(port)]);
  assert.equal(info.uri.path, "/socket");
  assert.match(info.uri.query, /user=ann/);
  assert.doesNotMatch(JSON.stringify(info), /secret/, "cookies and tokens are withheld");
}

for (const version of VERSIONS) {
  test(`${version.vsn}: a socket knows params, headers, peer and address of its WebSocket`, () =>
    withRaw("/socket", { version, params: { user: "ann" }, headers: HEADERS, node: NODES[0] }, async (raw) => {
      const info = await connectInfo(raw, unique("room:"));
      checkInfo(info, wsAddress("/socket", {}, NODES[0]));
      assert.equal(info.transport, "websocket");
      assert.equal(info.sec_websocket_headers["sec-websocket-version"], "13");
    }));

  test(`${version.vsn}: a socket knows params, headers, peer and address of its long-poll`, async () => {
    const poll = await RawPoll.open("/socket", { version, params: { user: "ann" }, headers: HEADERS });
    const info = await connectInfo(poll, unique("room:"));
    // The first request is the one that opens the session.
    checkInfo(info, httpAddress("/socket", {}, NODES[0]));
    assert.equal(info.transport, "longpoll");
  });

  test(`${version.vsn}: a session in a cookie counts for a page that knows its token`, async () => {
    const cookie = "other=1; session=secret.ann";
    for (const [headers, params, session] of [
      [{ cookie }, { _csrf_token: "secret" }, "ann"],
      [{ cookie }, { _csrf_token: "guess" }, null],
      [{ cookie }, {}, null],
      [{}, { _csrf_token: "secret" }, null],
    ]) {
      await withRaw("/socket", { version, params, headers }, async (raw) => {
        assert.equal((await connectInfo(raw, unique("room:"))).session, session);
      });
      const poll = await RawPoll.open("/socket", { version, params, headers });
      assert.equal((await connectInfo(poll, unique("room:"))).session, session);
    }
  });

  test(`${version.vsn}: a refused connect is 403, or as the application says`, async () => {
    assert.equal(await refusedWith("/socket", { version, params: { reject: "1" } }), 403);
    assert.equal(await refusedWith("/socket", { version, params: { reject: "429" } }), 429);
  });

  test(`${version.vsn}: long-poll: a refused connect is 403 in the body, whatever the application says`, async () => {
    for (const reject of ["1", "429"]) {
      const { status } = await new RawPoll("/socket", { version, params: { reject } }).get();
      assert.equal(status, 403, "the client throws on a status that it does not know");
    }
  });
}

test("variables of a mount's path are params, in a path of any depth", () =>
  withRaw("/nested/path/acme", { params: { user: "ann" } }, async (raw) => {
    const { params } = await connectInfo(raw, unique("room:"));
    assert.deepEqual([params.tenant, params.user], ["acme", "ann"]);
  }));

test("long-poll: variables of a mount's path are params", async () => {
  const poll = await RawPoll.open("/nested/path/acme", { params: { user: "ann" } });
  assert.equal((await connectInfo(poll, unique("room:"))).params.tenant, "acme");
});

test("without a version it is 1.0.0", async () => {
  const response = await upgrade("/socket/websocket");
  assert.equal(response.statusCode, 101);
  const poll = new RawPoll("/socket", { version: V1 });
  delete poll.params.vsn;
  poll.token = (await poll.get()).token;
  await poll.join(unique("room:"));
});

test("an empty version is refused with 403", async () => {
  assert.equal(await refusedWith("/socket", { version: { ...V1, vsn: "" } }), 403);
});

for (const vsn of ["123.1.1", "1.1.0", "2.1.0", "2", "two", "2.0.0.0", "-1.0.0"]) {
  test(`the version ${vsn} is refused with 403`, async () => {
    assert.equal(await refusedWith("/socket", { version: { ...V2, vsn } }), 403);
    assert.equal((await new RawPoll("/socket", { version: { ...V2, vsn } }).get()).status, 403);
  });
}

for (const vsn of ["2.0.1", "2.0.99"]) {
  test(`the version ${vsn} is spoken as 2.0.0`, () =>
    withRaw("/socket", { version: { ...V2, vsn } }, (raw) => raw.join(unique("room:"))));
}

test("a version that is a list is refused with 403", async () => {
  const response = await upgrade("/socket/websocket?vsn[]=2.0.0");
  assert.equal(response.statusCode, 403);
});

for (const method of ["GET", "POST", "PUT", "DELETE"]) {
  test(`${method} without an upgrade opens no WebSocket, and is told why`, async () => {
    const signal = AbortSignal.timeout(STEP_MS);
    const response = await fetch(httpAddress("/socket/websocket", { vsn: "2.0.0" }), { method, signal });
    assert.ok([400, 405, 426].includes(response.status), `${response.status}`);
    assert.notEqual(await response.text(), "");
  });
}

test("a mount without long-poll has none", async () => {
  const signal = AbortSignal.timeout(STEP_MS);
  assert.equal((await fetch(httpAddress("/only/longpoll", { vsn: "2.0.0" }), { signal })).status, 404);
});

test("control frames are answered and disturb nothing", () =>
  withRaw("/socket", {}, async (raw) => {
    const topic = unique("room:");
    await raw.join(topic);
    for (const payload of ["", "hello"]) {
      const pong = new Promise((resolve) => raw.socket.once("pong", resolve));
      raw.socket.ping(payload);
      assert.equal((await within("pong", pong)).toString(), payload);
      raw.socket.pong(payload);
    }
    await raw.expectNothing("1", topic);
  }));

/** A bare upgrade, for addresses that no client would make. */
function upgrade(path) {
  const { hostname, port } = new URL(httpAddress("/"));
  const headers = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const answered = new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, path, headers });
    request.on("response", (response) => resolve(response.resume()));
    request.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve(response);
    });
    request.on("error", reject);
    request.end();
  });
  return within("answer", answered);
}
