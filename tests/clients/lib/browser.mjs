// Chromium, as every script with pages starts it.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";

import { chromium } from "playwright-core";

export const STEP_LIMIT_MS = 20_000;

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const BROWSER_ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Runs `body` with a browser, which ends with it. */
export async function withBrowser(body) {
  const executablePath = BROWSERS.find((path) => existsSync(path));
  assert.ok(executablePath, `no browser: install chromium (looked for ${BROWSERS.join(", ")})`);
  // Launching makes a new, empty user data directory and closing removes it.
  const browser = await chromium.launch({
    executablePath,
    args: BROWSER_ARGUMENTS,
    timeout: STEP_LIMIT_MS * 2,
  });
  try {
    await body(browser);
  } finally {
    await browser.close();
  }
}
