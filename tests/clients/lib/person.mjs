// Somebody who uses the page of the chat in topics.

import { STEP_LIMIT_MS } from "./browser.mjs";

/** One person: a browser context of their own, and the page in it. */
export class Person {
  /** Opens the page at `address` and enters a room by it. */
  static async arrive(browser, address, name, room, { longPoll = false } = {}) {
    const person = new Person();
    person.name = name;
    person.context = await browser.newContext({ viewport: { width: 900, height: 700 } });
    person.context.setDefaultTimeout(STEP_LIMIT_MS);
    person.page = await person.context.newPage();
    person.sockets = 0;
    person.page.on("websocket", () => (person.sockets += 1));
    person.#watch();
    const values = new URLSearchParams({ user: name, room, ...(longPoll ? { longPoll } : {}) });
    await person.page.goto(`${address}#${values}`);
    await person.online();
    return person;
  }

  /** What should not happen on a page is among the faults. */
  #watch() {
    this.faults = [];
    this.page.on("pageerror", (error) => this.faults.push(String(error)));
    this.page.on("response", (response) => {
      if (response.status() >= 400) this.faults.push(`${response.status()} for ${response.url()}`);
    });
    this.page.on("console", (message) => {
      if (message.text().includes("Content Security Policy")) this.faults.push(message.text());
    });
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

  missing(name, timeout = STEP_LIMIT_MS) {
    return this.page.locator("#people li", { hasText: name }).waitFor({ state: "detached", timeout });
  }
}
