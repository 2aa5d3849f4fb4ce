// Both clients in Chromium, on a page of another origin.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CASES, blankPage, browser, join, open, push } from "../lib/browser.mjs";
import { NODES } from "../lib/server.mjs";
import { unique } from "../lib/waiting.mjs";

test("in a browser", async (context) => {
  const started = await browser(context);
  for (const { script, transport } of CASES) {
    await context.test(`${script} over ${transport}: joins, answers and broadcasts`, async (inner) => {
      const { page, errors } = await blankPage(inner, started);
      const user = unique("user-");
      await page.evaluate(open, { script, transport, address: `${NODES[0].replace(/^http/, "ws")}/socket`, user });
      assert.deepEqual(await page.evaluate(join, { topic: unique("room:"), params: { reply: { a: "ü" } } }), ["ok", { a: "ü" }]);
      assert.deepEqual(await page.evaluate(push, { event: "echo", payload: { n: [1, null] } }), ["ok", { n: [1, null] }]);
      await page.evaluate(push, { event: "shout", payload: { n: 1 } });
      await page.waitForFunction(() => window.heard.length === 1);
      assert.deepEqual(await page.evaluate(() => window.heard), [{ n: 1 }]);
      assert.deepEqual(errors, []);
    });

    await context.test(`${script} over ${transport}: comes back after it was disconnected by id`, async (inner) => {
      const { page, errors } = await blankPage(inner, started);
      const user = unique("user-");
      await page.evaluate(open, { script, transport, address: `${NODES[0].replace(/^http/, "ws")}/socket`, user });
      await page.evaluate(join, { topic: unique("room:"), params: {} });
      await page.evaluate(push, { event: "set", payload: { value: 1 } });
      await page.evaluate((id) => {
        window.lost = new Promise((resolve) => window.channel.onError(resolve));
        window.channel.push("disconnect", { id });
        return window.lost.then(() => null);
      }, `users:${user}`);
      assert.deepEqual(await page.evaluate(push, { event: "get", payload: {} }), ["ok", { value: null }]);
      assert.deepEqual(errors, []);
    });
  }
});
