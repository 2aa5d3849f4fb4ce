// Who is there, in Chromium with both clients.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CASES, blankPage, browser, join, open } from "../lib/browser.mjs";
import { NODES } from "../lib/server.mjs";
import { unique } from "../lib/waiting.mjs";

test("in a browser", async (context) => {
  const started = await browser(context);
  for (const { script, transport } of CASES) {
    await context.test(`${script} over ${transport}: presence`, async (inner) => {
      const { page, errors } = await blankPage(inner, started);
      await page.evaluate(open, { script, transport, address: `${NODES[0]}/socket`.replace(/^http/, "ws"), user: "ann" });
      const topic = unique("presence:");
      assert.deepEqual(await page.evaluate(join, { topic, params: { key: "ann", meta: {} } }), ["ok", {}]);
      await page.waitForFunction(() => window.presence.list((key) => key).join() === "ann");
      assert.deepEqual(errors, []);
    });
  }
});
