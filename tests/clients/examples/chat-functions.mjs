// node chat-functions.mjs BASE_URL [--screenshot FILE] - two people in a room, a third in another.

import assert from "node:assert/strict";

import { check } from "../lib/run.mjs";
import { online, say, see, withPages } from "./lib.mjs";

async function call(page, name) {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Change" }).click();
  await see(`${name} is here`, page);
}

await withPages("chat-functions.mjs", async (open) => {
  const [ada, ben, cy] = [await open("lock"), await open("lock"), await open("weir")];
  await check("people have the names that they gave", async () => {
    await call(ada, "Ada");
    await call(ben, "Ben");
    await call(cy, "Cy");
    await see("Ben is here", ada);
  });
  await check("they talk both ways", async () => {
    await say(ada, "Is the gate open?");
    await see("Is the gate open?", ada, ben);
    await say(ben, "Wide open <b>now</b>. 🚢");
    await see("Wide open <b>now</b>. 🚢", ada, ben);
    const own = ada.locator("#log .own");
    assert.equal(await own.count(), 1, "own messages are told apart");
  });
  await check("the other room hears nothing of it", async () => {
    await say(cy, "Quiet here.");
    await see("Quiet here.", cy);
    assert.equal(await cy.getByText("Wide open").count(), 0);
  });
  await check("those who stay see who leaves", async () => {
    await ben.close();
    await see("Ben has left", ada);
  });
  await check("a page comes back after its connection was cut, with its name", async () => {
    let cut;
    let reachable = true;
    const dee = await open("lock", (page) =>
      page.routeWebSocket(/\/chat\//, (route) => {
        if (!reachable) {
          route.close();
          return;
        }
        route.connectToServer();
        cut = () => route.close();
      }),
    );
    await call(dee, "Dee");
    await see("Dee is here", ada);
    reachable = false;
    await cut();
    await dee.locator("#state[data-state=offline]").waitFor();
    assert.ok(await dee.getByRole("button", { name: "Send" }).isDisabled(), "nothing is said while offline");
    reachable = true;
    await online(dee);
    await say(dee, "Back again.");
    await see("Back again.", ada, dee);
    assert.equal(await dee.locator("#log .own b").innerText(), "Dee");
  });
});
