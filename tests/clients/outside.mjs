// node outside.mjs BASE_URL LAYER_URL TOKEN - what a program without Rust does with a layer:
// BASE_URL serves sockets, LAYER_URL the layer over HTTP.

import assert from "node:assert/strict";

import { Layer, Page } from "./lib/outside.mjs";
import { check, parseArguments, run } from "./lib/run.mjs";

const DEADLINE_MS = 90_000;

const { url, rest } = parseArguments("outside.mjs BASE_URL LAYER_URL TOKEN");
const [base, token] = rest;
const layer = new Layer(base, token);

const type = (wanted) => (text) => JSON.parse(text).type === wanted;

await run(DEADLINE_MS, async () => {
  const person = new Page(url, "/chat/lock");
  await person.opened;

  await check("a job is sent to a worker, and its work is heard", async () => {
    person.socket.send(JSON.stringify({ type: "hello", name: "Ada" }));
    await person.next("welcome", type("welcome"));
    const content = { group: "chat.lock", name: "cron", text: "wake up" };
    await layer.post("/v1/send", { channel: "demo.shout", content });
    const heard = JSON.parse(await person.next("shout", type("shout")));
    assert.deepEqual(heard, { type: "shout", name: "cron", text: "WAKE UP" });
  });

  await check("a group is told, and its members are seen", async () => {
    const said = { type: "message", name: "PHP", text: "hello" };
    const delivery = await layer.post("/v1/group-send", { group: "chat.lock", json: said });
    assert.deepEqual([delivery.nodes, delivery.delivered, delivery.dropped], [1, 1, 0]);
    assert.deepEqual(JSON.parse(await person.next("message", type("message"))), said);
    const { members } = await layer.get("/v1/groups/chat.lock");
    assert.equal(members, 1);
    const listed = await layer.get("/v1/groups/chat.lock/members");
    assert.equal(listed.members.length, 1);
  });

  await check("a poll waits for what is sent later, and a delay for its time", async () => {
    const polled = layer.post("/v1/receive", { channels: ["outside.jobs"], max: 10 });
    await layer.post("/v1/send", { channel: "outside.jobs", content: { id: 7 } });
    const { messages } = await polled;
    assert.deepEqual(messages.map(({ content }) => content), [{ id: 7 }]);
    const { key } = await layer.post("/v1/send", { channel: "outside.jobs", content: 1, delay: "1h" });
    assert.deepEqual(await layer.post("/v1/cancel", { key }), { cancelled: true });
  });

  await check("a batch has a result for each operation", async () => {
    const send = (content) => ({ send: { channel: "outside.jobs", content } });
    const { results } = await layer.post("/v1/batch", { operations: [send(1), send(2), send(3)] });
    assert.deepEqual(results, [{ done: {} }, { done: {} }, { done: {} }]);
    const taken = [];
    while (taken.length < 3) {
      const { messages } = await layer.post("/v1/receive", { channels: ["outside.jobs"], max: 2 });
      taken.push(...messages.map(({ content }) => content));
    }
    assert.deepEqual(taken, [1, 2, 3]);
  });

  await check("the document is served without a token", async () => {
    const document = await (await fetch(new URL("/v1/openapi.json", base))).json();
    assert.equal(document.openapi, "3.1.0");
    const refused = await fetch(new URL("/v1/flush", base), { method: "POST" });
    assert.equal(refused.status, 401);
  });

  person.socket.terminate();
});
