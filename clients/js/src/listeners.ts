/** Those who want to hear of one kind of event, in the order in which they came. */
export class Listeners<Parts extends unknown[]> {
  #all: ((...parts: Parts) => void)[] = [];

  /** Adds one. What is returned takes it away again. */
  add(listener: (...parts: Parts) => void): () => void {
    this.#all = [...this.#all, listener];
    return () => this.remove(listener);
  }

  /** Takes one away, if it is there. */
  remove(listener: (...parts: Parts) => void): void {
    this.#all = this.#all.filter((it) => it !== listener);
  }

  /** Tells everybody who was there when it began. */
  emit(...parts: Parts): void {
    for (const listener of this.#all) shielded(() => listener(...parts));
  }
}

/**
 * Calls what belongs to the application. What it throws is reported as an
 * uncaught error and does not stop this library half way through its work.
 */
export function shielded(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
