// What the scripts for the examples share: an example's page, opened more than once.

import assert from "node:assert/strict";

import { STEP_LIMIT_MS, withBrowser } from "../lib/browser.mjs";
import { check, parseArguments, run } from "../lib/run.mjs";

const DEADLINE_MS = 120_000;

/**
 * Runs `body` with `open`, which opens the example's page in a browser context
 * of its own and waits until it is online, and with the rest of the arguments.
 * In the end no page may have had an error; `--screenshot FILE` shows the first.
 */
export async function withPages(script, body) {
  const { url, rest } = parseArguments(`${script} BASE_URL [--screenshot FILE] …`);
  const file = rest[0] === "--screenshot" ? rest.splice(0, 2)[1] : undefined;
  await run(DEADLINE_MS, () =>
    withBrowser(async (browser) => {
      const pages = [];
      const open = async (hash = "", beforeOpening = async () => {}) => {
        const context = await browser.newContext({ viewport: { width: 760, height: 640 } });
        context.setDefaultTimeout(STEP_LIMIT_MS);
        const page = await context.newPage();
        page.faults = [];
        page.on("pageerror", (error) => page.faults.push(String(error)));
        await beforeOpening(page);
        await page.goto(new URL(`/#${hash}`, url).href);
        await online(page);
        pages.push(page);
        return page;
      };
      await body(open, rest);
      if (file) await pages[0].screenshot({ path: file });
      await check("no page had an error", async () => {
        for (const page of pages) assert.deepEqual(page.faults, []);
      });
    }),
  );
}

/** Waits until a page has its connection. */
export function online(page) {
  return page.locator("#state[data-state=online]").waitFor();
}

/** Says something in a chat. */
export async function say(page, text) {
  await page.getByLabel("Message", { exact: false }).and(page.locator("input")).fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

/** Waits until all pages show a text. */
export function see(text, ...pages) {
  return Promise.all(pages.map((page) => page.getByText(text, { exact: false }).first().waitFor()));
}
