// node jobs.mjs BASE_URL [--screenshot FILE] LIMIT - a job is started on one page and seen on both.

import { check } from "../lib/run.mjs";
import { withPages } from "./lib.mjs";

function reaches(percent, ...pages) {
  const reached = (least) =>
    [...document.querySelectorAll("#jobs label span:last-child")].some((it) => parseInt(it.textContent) >= least);
  return Promise.all(pages.map((page) => page.waitForFunction(reached, percent, { timeout: 60_000 })));
}

await withPages("jobs.mjs", async (open, [limit]) => {
  const [ada, ben] = [await open(), await open()];
  await check("a job begins", async () => {
    await ada.getByLabel("Count the primes below").fill(limit);
    await ada.getByRole("button", { name: "Start" }).click();
    await reaches(10, ada, ben);
  });
  await check("it ends on a page that came later, too", async () => {
    const cy = await open();
    await reaches(100, ada, ben, cy);
  });
});
