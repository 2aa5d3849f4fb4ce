// node chat.mjs BASE_URL [--screenshot FILE] - people in a browser use the demonstration's chat.

import assert from "node:assert/strict";

import { STEP_LIMIT_MS, withBrowser } from "./lib/browser.mjs";
import { check, parseArguments, run } from "./lib/run.mjs";

const DEADLINE_MS = 150_000;

const { url, rest } = parseArguments("chat.mjs BASE_URL [--screenshot FILE]");
const screenshot = rest[0] === "--screenshot" ? rest[1] : undefined;

/** One person: a browser context of their own, and the chat page in it. */
class Person {
  static async arrive(browser, name, room, beforeOpening = async () => {}) {
    const person = new Person();
    person.name = name;
    const context = await browser.newContext({ viewport: { width: 900, height: 700 } });
    context.setDefaultTimeout(STEP_LIMIT_MS);
    person.page = await context.newPage();
    person.faults = [];
    person.page.on("pageerror", (error) => person.faults.push(String(error)));
    person.page.on("console", (message) => {
      if (message.text().includes("Content Security Policy")) person.faults.push(message.text());
    });
    await beforeOpening(person.page);
    await person.page.goto(new URL(`/#${room}`, url).href);
    await person.online();
    const field = person.at("name");
    await field.fill(name);
    await field.press("Enter");
    await person.sees(`as ${name}.`);
    await person.online();
    return person;
  }

  at(testId) {
    return this.page.getByTestId(testId);
  }

  state(state) {
    return this.page.locator(`[data-testid=state][data-state=${state}]`).getByText(state, { exact: true }).waitFor();
  }

  online() {
    return this.state("online");
  }

  async says(text) {
    await this.at("input").fill(text);
    await this.at("send").click();
  }

  sees(text) {
    return this.at("messages").getByText(text, { exact: false }).first().waitFor();
  }

  /** Waits for one message exactly as it was said, and checks whose it is. */
  async hears(name, text, kind = "message") {
    const item = this.at("messages").locator(`li[data-kind=${kind}]`, {
      has: this.page.getByText(text, { exact: true }),
    });
    await item.waitFor();
    assert.equal(await item.getAttribute("data-name"), name, "a message carries its sender's name");
    const own = await item.evaluate((found) => found.classList.contains("own"));
    assert.equal(own, name === this.name, "own messages are told apart");
  }
}

async function conversation(browser) {
  let ada, ben, cy;
  await check("two people come online in one room and a third in another", async () => {
    ada = await Person.arrive(browser, "Ada", "lock");
    ben = await Person.arrive(browser, "Ben", "lock");
    cy = await Person.arrive(browser, "Cy", "weir");
    assert.equal(await ada.at("room").inputValue(), "lock");
    await ada.sees("Ben joined");
  });
  await check("they talk both ways", async () => {
    await ada.says("Is the gate open?");
    await Promise.all([ada, ben].map((person) => person.hears("Ada", "Is the gate open?")));
    await ben.says("Wide open. 🚢");
    await Promise.all([ada, ben].map((person) => person.hears("Ben", "Wide open. 🚢")));
  });
  await check("a shout is loud for both", async () => {
    await ada.says("/shout hello");
    await Promise.all([ada, ben].map((person) => person.hears("Ada", "HELLO", "shout")));
  });
  await check("markup is shown as text", async () => {
    const markup = `<img src=x onerror="document.title='owned'">`;
    await ben.says(markup);
    await Promise.all([ada, ben].map((person) => person.hears("Ben", markup)));
    assert.equal(await ada.at("messages").locator("img").count(), 0);
    assert.doesNotMatch(await ada.page.title(), /owned/);
  });
  await check("the other room hears nothing of it", async () => {
    // Cy's own message comes back after everything that was said before it.
    await cy.says("Quiet here.");
    await cy.hears("Cy", "Quiet here.");
    assert.equal(await cy.at("messages").locator("li.bubble").count(), 1);
  });
  if (screenshot) await ada.page.screenshot({ path: screenshot });
  await check("a person who changes the room hears that room", async () => {
    await cy.at("room").fill("lock");
    await cy.at("room").press("Enter");
    await ada.sees("Cy joined");
    await cy.online();
    await ada.says("Welcome, Cy.");
    await cy.hears("Ada", "Welcome, Cy.");
    assert.equal(new URL(cy.page.url()).hash, "#lock");
  });
  await check("those who stay see who leaves", async () => {
    await ben.page.context().close();
    await ada.sees("Ben left");
  });
  return [ada, cy];
}

/** A connection that the test can cut stands between this person's page and the server. */
async function reconnection(browser) {
  let dee;
  let cut = () => {};
  let reachable = true;
  await check("a cut connection shows, keeps what was typed, and comes back by itself", async () => {
    dee = await Person.arrive(browser, "Dee", "bridge", (page) =>
      page.routeWebSocket(/\/chat\//, (route) => {
        if (!reachable) {
          route.close();
          return;
        }
        route.connectToServer();
        cut = () => route.close();
      }),
    );
    await dee.at("input").fill("half a sen");
    reachable = false;
    await cut();
    await dee.state("offline");
    assert.ok(await dee.at("input").isDisabled(), "nothing is typed while offline");
    assert.equal(await dee.at("input").inputValue(), "half a sen");
    reachable = true;
    await dee.online();
    assert.equal(await dee.at("input").inputValue(), "half a sen");
    await dee.says("a whole sentence");
    await dee.hears("Dee", "a whole sentence");
  });
  return [dee];
}

await run(DEADLINE_MS, () =>
  withBrowser(async (browser) => {
    const people = [...(await conversation(browser)), ...(await reconnection(browser))];
    await check("no page had an error", async () => {
      for (const person of people) assert.deepEqual(person.faults, [], `faults in ${person.name}'s page`);
    });
  }),
);
