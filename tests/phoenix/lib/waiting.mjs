// Waiting with an end.

/** The longest time for one step of a test, in milliseconds. */
export const STEP_MS = 10_000;

/** `promise`, or an error that names `what` after a step's time. */
export async function within(what, promise, limitMs = STEP_MS) {
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

/** A queue that is filled by events and read by a test, in order. */
export class Inbox {
  #items = [];
  #wake = () => {};
  #ended = null;

  add(item) {
    this.#items.push(item);
    this.#wake();
  }

  /** Nothing comes any more, because of `reason`. */
  end(reason) {
    this.#ended = reason;
    this.#wake();
  }

  /** What has come and was not read. */
  get length() {
    return this.#items.length;
  }

  async next(what = "message") {
    const arrived = new Promise((resolve, reject) => {
      this.#wake = () => {
        if (this.#items.length > 0) resolve();
        else if (this.#ended !== null) reject(new Error(`no ${what}: ${this.#ended}`));
      };
      this.#wake();
    });
    await within(what, arrived);
    return this.#items.shift();
  }
}

let count = 0;

/** A name that no other test uses. */
export function unique(prefix) {
  count += 1;
  return `${prefix}${process.pid}-${Date.now().toString(36)}-${count}`;
}
