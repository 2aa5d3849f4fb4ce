// node two-streams.mjs BASE_URL [--screenshot FILE] - two people talk and clap.

import { check } from "../lib/run.mjs";
import { say, see, withPages } from "./lib.mjs";

const clap = (page) => page.getByRole("button", { name: "Clap" }).click();

function counted(page, text) {
  return page.locator("#counts").getByText(text, { exact: true }).waitFor();
}

await withPages("two-streams.mjs", async (open) => {
  const [ada, ben] = [await open("Ada"), await open("Ben")];
  await check("both streams reach both", async () => {
    await say(ada, "Welcome, all of you.");
    await see("Welcome, all of you.", ada, ben);
    await clap(ben);
    await Promise.all([ada, ben].map((page) => counted(page, "👏 1")));
  });
  await check("too much of one stream is refused, and the other goes on", async () => {
    for (let sent = 0; sent < 5; sent += 1) await clap(ben);
    await see("five reactions at once are enough", ben);
    await Promise.all([ada, ben].map((page) => counted(page, "👏 5")));
    await say(ben, "I could clap for ever.");
    await see("I could clap for ever.", ada, ben);
  });
  await check("after a rest there is another", async () => {
    const answered = () => ben.waitForFunction(() => {
      const counts = document.getElementById("counts").textContent;
      return counts === "👏 6" ? "heard" : document.getElementById("error").textContent;
    });
    let answer;
    do {
      await clap(ben);
      answer = await (await answered()).jsonValue();
    } while (answer !== "heard");
    await counted(ada, "👏 6");
  });
});
