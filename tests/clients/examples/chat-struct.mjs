// node chat-struct.mjs BASE_URL [--screenshot FILE] - three people, of whom one mutes another.

import assert from "node:assert/strict";

import { check } from "../lib/run.mjs";
import { say, see, withPages } from "./lib.mjs";

await withPages("chat-struct.mjs", async (open) => {
  const [ada, ben, cy] = [await open("lock/Ada"), await open("lock/Ben"), await open("lock/Cy")];
  await check("everybody hears everybody", async () => {
    await say(ben, "Good morning!");
    await see("Good morning!", ada, ben, cy);
    await say(cy, "The water is high today.");
    await see("The water is high today.", ada, ben, cy);
  });
  await check("who is muted is heard by the others only", async () => {
    await ada.getByRole("button", { name: "Ben" }).click();
    await see("Ben is muted", ada);
    // What Ada says comes back after her wish was granted, what Cy hears after Ben has spoken.
    await say(ada, "Some peace.");
    await see("Some peace.", ada, ben, cy);
    await say(ben, "Can you hear me?");
    await see("Can you hear me?", ben, cy);
    await say(cy, "I can.");
    await see("I can.", ada, ben, cy);
    assert.equal(await ada.getByText("Can you hear me?").count(), 0);
  });
});
