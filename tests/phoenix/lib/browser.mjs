// Chromium with a page of another origin that has both clients.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { STEP_MS } from "./waiting.mjs";

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const FILES = {
  "/phoenix.mjs": fileURLToPath(import.meta.resolve("phoenix")),
  "/towpath.js": fileURLToPath(new URL("../../../clients/js/dist/towpath.js", import.meta.url)),
};

/** A browser that ends with the test. */
export async function browser(context) {
  const executablePath = BROWSERS.find((path) => existsSync(path));
  assert.ok(executablePath, `no browser: install chromium (looked for ${BROWSERS.join(", ")})`);
  const started = await chromium.launch({ executablePath, args: ARGUMENTS, timeout: STEP_MS * 2 });
  context.after(() => started.close());
  return started;
}

/** An empty page of `http://localhost` that can import `/phoenix.mjs` and `/towpath.js`. */
export async function blankPage(context, started) {
  const server = http.createServer((request, response) => void answer(request, response));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  const page = await started.newPage();
  page.setDefaultTimeout(STEP_MS);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(`http://localhost:${server.address().port}/`);
  return { page, errors };
}

async function answer(request, response) {
  const file = FILES[request.url];
  response.setHeader("content-type", file === undefined ? "text/html" : "text/javascript");
  response.end(file === undefined ? "<!doctype html><link rel=icon href=data:,>" : await readFile(file));
}

/** Runs in the page: makes a socket of either client. */
export async function open({ script, transport, address, user }) {
  const library = await import(script);
  const isOwn = script === "/towpath.js";
  const way = isOwn ? transport : { websocket: WebSocket, longpoll: library.LongPoll }[transport];
  window.library = library;
  window.socket = new library.Socket(address, {
    params: { user },
    transport: way,
    reconnectAfterMs: () => 20,
    rejoinAfterMs: () => 20,
    reconnectBaseMs: 20,
  });
  window.socket.connect();
}

/** Runs in the page: joins, and says how that was answered. */
export function join({ topic, params }) {
  window.channel = window.socket.channel(topic, params);
  window.heard = [];
  window.channel.on("shout", (payload) => window.heard.push(payload));
  window.presence = new window.library.Presence(window.channel);
  const push = window.channel.join();
  return new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve([status, response]));
  });
}

/** Runs in the page: pushes, and says how that was answered. */
export function push({ event, payload }) {
  return new Promise((resolve) => {
    const push = window.channel.push(event, payload);
    for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve([status, response]));
  });
}

export const CASES = ["/phoenix.mjs", "/towpath.js"].flatMap((script) =>
  ["websocket", "longpoll"].map((transport) => ({ script, transport })),
);
