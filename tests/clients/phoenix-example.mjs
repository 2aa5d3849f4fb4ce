// node phoenix-example.mjs BASE_URL - people in a browser use the example's page with the npm package of
// Phoenix, which comes from an origin of its own. The demonstration has to let `//localhost` in.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { withBrowser } from "./lib/browser.mjs";
import { Person } from "./lib/person.mjs";
import { check, parseArguments, run, within } from "./lib/run.mjs";

const DEADLINE_MS = 120_000;
const START_MS = 20_000;
const SERVE = fileURLToPath(new URL("../../examples/phoenix-js/serve.mjs", import.meta.url));

const { url } = parseArguments("phoenix-example.mjs BASE_URL");

/** Runs `body` with the address of the example's page. */
async function withPage(body) {
  const server = spawn(process.execPath, [SERVE, "0"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = await within(START_MS, "page", once(server.stdout, "data"));
    const [address] = String(line).match(/http:\S+/);
    await body(`${address}?server=ws://${url.host}`);
  } finally {
    server.kill();
  }
}

async function scenes(browser, address) {
  let ada, ben;
  await check("two people meet on the example's page, one of them by long-poll", async () => {
    ada = await Person.arrive(browser, address, "Ada", "quay");
    ben = await Person.arrive(browser, address, "Ben", "quay", { longPoll: true });
    await Promise.all([ada.sees("Ben"), ben.sees("Ada")]);
    assert.deepEqual([ada.sockets > 0, ben.sockets], [true, 0]);
  });
  await check("they talk both ways, also with whoever is on the demonstration's page", async () => {
    const cy = await Person.arrive(browser, `http://localhost:${url.port}/topics`, "Cy", "quay");
    for (const [speaker, text] of [
      [ada, "Is the gate open?"],
      [ben, "Wide open."],
      [cy, "Then go."],
    ]) {
      await speaker.says(text);
      await Promise.all([ada, ben, cy].map((person) => person.hears(text)));
    }
    await cy.context.close();
    await Promise.all([ada.missing("Cy"), ben.missing("Cy")]);
  });
  await check("whoever comes back reads what was said, once", async () => {
    await ben.page.reload();
    await ben.hears("Wide open.");
    assert.equal(await ben.heard("Then go."), 1);
    await ada.sees("Ben");
  });
  assert.deepEqual([...ada.faults, ...ben.faults], []);
}

await run(DEADLINE_MS, () => withPage((address) => withBrowser((browser) => scenes(browser, address))));
