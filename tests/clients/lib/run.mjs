// The frame of every client script: its arguments, its deadline, its cases and its last word.

/** The server's address from the command line, and what follows it. */
export function parseArguments(usage) {
  const [base, ...rest] = process.argv.slice(2);
  let url = null;
  try {
    url = new URL(base);
  } catch {
    // Reported below, together with a wrong scheme.
  }
  if (url?.protocol !== "http:") {
    console.error(`usage: node ${usage}, with BASE_URL like http://127.0.0.1:8000`);
    process.exit(1);
  }
  return { url, rest };
}

/** `path` on the server at `url`, as a WebSocket address. */
export function socketAddress(url, path) {
  return `ws://${url.host}${path}`;
}

let current = "the start";

/** Runs one named case; the name is what a failure or the deadline reports. */
export async function check(name, body) {
  current = name;
  const started = performance.now();
  await body();
  console.log(`${name} (${Math.round(performance.now() - started)} ms)`);
}

/** Runs the whole script: prints `ok` last, or says on stderr what failed and exits with 1. */
export async function run(deadlineMs, body) {
  const deadline = setTimeout(() => {
    console.error(`failed: ${current}: the script's deadline of ${deadlineMs} ms has passed`);
    process.exit(1);
  }, deadlineMs);
  try {
    await body();
    clearTimeout(deadline);
    console.log("ok");
  } catch (error) {
    console.error(`failed: ${current}: ${error?.stack ?? error}`);
    process.exit(1);
  }
}

/** `promise`, or an error that names `what` after `limitMs`. */
export async function within(limitMs, what, promise) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
