// node topics.mjs BASE_URL [--screenshot FILE] - people in a browser use the demonstration's chat in topics.

import assert from "node:assert/strict";

import { withBrowser } from "./lib/browser.mjs";
import { Person } from "./lib/person.mjs";
import { check, parseArguments, run } from "./lib/run.mjs";

const DEADLINE_MS = 150_000;
/** A poll that is not cut lasts its window, and then the session lives for one and a half of it. */
const INACTIVE_MS = 40_000;

const { url, rest } = parseArguments("topics.mjs BASE_URL [--screenshot FILE]");
const screenshot = rest[0] === "--screenshot" ? rest[1] : undefined;

const page = new URL("/topics", url).href;

async function scenes(browser) {
  let ada, ben;
  await check("two people meet, one of them by long-poll", async () => {
    ada = await Person.arrive(browser, page, "Ada", "lock");
    ben = await Person.arrive(browser, page, "Ben", "lock", { longPoll: true });
    await Promise.all([ada.sees("Ben"), ben.sees("Ada"), ben.sees("Ben")]);
    assert.equal(ben.sockets, 0, "no WebSocket was opened where long-poll was asked for");
  });
  await check("they talk both ways", async () => {
    await ada.says("Is the gate open?");
    await Promise.all([ada.hears("Is the gate open?"), ben.hears("Is the gate open?")]);
    await ben.says("Wide open. 🚢");
    await Promise.all([ada.hears("Wide open. 🚢"), ben.hears("Wide open. 🚢")]);
  });
  await check("who types is seen typing, and then not any more", async () => {
    await ada.page.locator("#composer input").pressSequentially("well");
    await ben.page.locator("#typing", { hasText: "Ada typing" }).waitFor();
    await ada.says("well");
    await ben.page.locator("#typing", { hasText: /^$/ }).waitFor({ state: "attached" });
  });
  await check("a second tab of a person is one person in two tabs", async () => {
    const tab = await Person.arrive(browser, page, "Ben", "lock");
    await ada.sees("Ben", "2 tabs");
    await tab.context.close();
    await ada.page.locator("#people li small").waitFor({ state: "detached" });
    await ada.sees("Ben");
  });
  await check("markup is shown as text", async () => {
    const markup = `<img src=x onerror="document.title='owned'">`;
    await ben.says(markup);
    await ada.hears(markup);
    assert.equal(await ada.page.locator("#log img").count(), 0);
  });
  if (screenshot) await ada.page.screenshot({ path: screenshot });
  await check("whoever comes later reads what was said, once", async () => {
    const cy = await Person.arrive(browser, page, "Cy", "lock");
    await cy.hears("Wide open. 🚢");
    assert.equal(await cy.heard("Is the gate open?"), 1);
    await cy.context.close();
  });
  await check("whoever was away is told what was missed, once and in order", async () => {
    await ben.context.setOffline(true);
    await ada.missing("Ben", INACTIVE_MS);
    for (const text of ["first", "second", "third"]) {
      await ada.says(text);
      await ada.hears(text);
    }
    await ben.context.setOffline(false);
    await ben.hears("third");
    const all = await ben.page.locator("#log li").allTextContents();
    const tail = all.slice(-3).map((text) => text.replace(/^Ada.*?(?=first|second|third)/, ""));
    assert.deepEqual(tail, ["first", "second", "third"]);
    assert.equal(await ben.heard("Is the gate open?"), 1);
    await ada.sees("Ben");
  });
  assert.deepEqual([...ada.faults, ...ben.faults], []);
}

await run(DEADLINE_MS, () => withBrowser(scenes));
