// node outside-worker.mjs BASE_URL LAYER_URL TOKEN - a worker without Rust: it answers everything
// that happens on a socket of BASE_URL. Nobody else may consume there.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import { Layer, Page } from "./lib/outside.mjs";
import { check, parseArguments, run } from "./lib/run.mjs";

const DEADLINE_MS = 90_000;

// An event that nobody vouches for is found lost after about a second.
const HOLD_MS = 3_000;

const { url, rest } = parseArguments("outside-worker.mjs BASE_URL LAYER_URL TOKEN");
const [base, token] = rest;
const layer = new Layer(base, token);

const session = (event) => Buffer.from(event.session, "base64").toString();

await run(DEADLINE_MS, async () => {
  const page = new Page(url, "/echo?from=outside");

  await check("a handshake is accepted, and a group is joined", async () => {
    const event = await layer.event("websocket.connect");
    assert.deepEqual([event.kind, event.path, event.order], ["connect", "/echo", 0]);
    assert.equal(event.handshake.query_string, "from=outside");
    await layer.post("/v1/add", { group: "outside", channel: event.reply_channel, meta: "page" });
    await layer.complete(event, { accept: {} }, "1");
    await page.opened;
  });

  await check("frames are answered in order, and the session travels", async () => {
    for (const text of ["one", "two"]) page.socket.send(text);
    for (const [count, text] of [["1", "one"], ["2", "two"]]) {
      const event = await layer.event("websocket.receive");
      assert.deepEqual([event.kind, event.text, session(event)], ["receive", text, count]);
      await layer.complete(event, { text: `${count}: ${text}` }, `${Number(count) + 1}`);
      assert.equal(await page.next("answer"), `${count}: ${text}`);
    }
  });

  await check("an event that takes long is not lost", async () => {
    page.socket.send("slow");
    const event = await layer.event("websocket.receive");
    await pause(HOLD_MS);
    await layer.complete(event, { text: "done" });
    assert.equal(await page.next("answer"), "done");
    assert.equal((await layer.get("/v1/statistics")).lost, 0);
  });

  await check("its group is told, and the end is seen", async () => {
    await layer.post("/v1/group-send", { group: "outside", text: "all of you" });
    assert.equal(await page.next("group's message"), "all of you");
    page.socket.close(1000, "bye");
    const event = await layer.event("websocket.disconnect");
    assert.deepEqual([event.kind, event.code, event.reason], ["disconnect", 1000, "bye"]);
    await layer.complete(event);
  });
});
