// node topics.mjs BASE_URL [--screenshot FILE] - people in a browser use the demonstration's chat in topics.

import assert from "node:assert/strict";

import { STEP_LIMIT_MS, withBrowser } from "./lib/browser.mjs";
import { check, parseArguments, run } from "./lib/run.mjs";

const DEADLINE_MS = 150_000;

const { url, rest } = parseArguments("topics.mjs BASE_URL [--screenshot FILE]");
const screenshot = rest[0] === "--screenshot" ? rest[1] : undefined;

/** One person: a browser context of their own, and the page in it. */
class Person {
  static async arrive(browser, name, room, { longPoll = false, context } = {}) {
    const person = new Person();
    person.name = name;
    person.context = context ?? (await browser.newContext({ viewport: { width: 900, height: 700 } }));
    person.context.setDefaultTimeout(STEP_LIMIT_MS);
    person.page = await person.context.newPage();
    person.faults = [];
    person.sockets = 0;
    person.page.on("websocket", () => (person.sockets += 1));
    person.page.on("pageerror", (error) => person.faults.push(String(error)));
    person.page.on("console", (message) => {
      if (message.text().includes("Content Security Policy")) person.faults.push(message.text());
    });
    const values = new URLSearchParams({ user: name, room, ...(longPoll ? { longPoll } : {}) });
    await person.page.goto(new URL(`/topics#${values}`, url).href);
    await person.online();
    return person;
  }

  online() {
    return this.page.locator("#state[data-state=online]").waitFor();
  }

  async says(text) {
    const field = this.page.locator("#composer input");
    await field.fill(text);
    await field.press("Enter");
  }

  hears(text) {
    return this.page.locator("#log li", { hasText: text }).waitFor();
  }

  heard(text) {
    return this.page.locator("#log li", { hasText: text }).count();
  }

  sees(name, more = "") {
    const item = this.page.locator("#people li", { hasText: name });
    return (more === "" ? item : item.filter({ hasText: more })).waitFor();
  }

  missing(name) {
    return this.page.locator("#people li", { hasText: name }).waitFor({ state: "detached" });
  }
}

async function scenes(browser) {
  let ada, ben;
  await check("two people meet, one of them by long-poll", async () => {
    ada = await Person.arrive(browser, "Ada", "lock");
    ben = await Person.arrive(browser, "Ben", "lock", { longPoll: true });
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
    const tab = await Person.arrive(browser, "Ben", "lock");
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
    const cy = await Person.arrive(browser, "Cy", "lock");
    await cy.hears("Wide open. 🚢");
    assert.equal(await cy.heard("Is the gate open?"), 1);
    await cy.context.close();
  });
  await check("whoever was away is told what was missed, once and in order", async () => {
    await ben.context.setOffline(true);
    await ada.missing("Ben");
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
