// node typed-json.mjs BASE_URL [--screenshot FILE] - two people play the quiz.

import assert from "node:assert/strict";

import { check } from "../lib/run.mjs";
import { see, withPages } from "./lib.mjs";

async function play(page, name) {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Play" }).click();
}

async function answer(page, question, choice, verdict) {
  await see(question, page);
  await page.getByRole("button", { name: choice }).click();
  await page.locator("#verdict").getByText(verdict, { exact: true }).waitFor();
}

function standing(page, name, text) {
  return page.locator(`#players [data-name=${name}]`).getByText(text).waitFor();
}

await withPages("typed-json.mjs", async (open) => {
  const [ada, ben] = [await open(), await open()];
  await check("each sees that the other plays", async () => {
    await play(ada, "Ada");
    await play(ben, "Ben");
    await Promise.all([ada, ben].map((page) => standing(page, "Ben", "0 right of 0")));
  });
  await check("answers are judged, and everybody sees the standing", async () => {
    await answer(ada, "Who walked the towpath?", "The horse", "Right!");
    await answer(ben, "Who walked the towpath?", "The miller", "No.");
    for (const page of [ada, ben]) {
      await standing(page, "Ada", "1 right of 1");
      await standing(page, "Ben", "0 right of 1");
    }
  });
  await check("the quiz ends for one while the other still plays", async () => {
    await answer(ben, "What does a lock change?", "The level", "Right!");
    await answer(ben, "What does an aqueduct carry?", "A canal", "Right!");
    await Promise.all([ada, ben].map((page) => standing(page, "Ben", "2 right of 3")));
    assert.ok(await ben.locator("#question").isHidden());
    await see("What does a lock change?", ada);
  });
});
