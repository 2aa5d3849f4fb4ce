import { encodeBase64 } from "./base64.js";
import type { Frame } from "./codec.js";

/** So many lines of a batch are taken by a server. */
const LINES_MAX = 100;
const BATCH_CHARACTERS_MAX = 1024 * 1024;

/** The frames that wait to be posted: one line each, text as it is, bytes in base64. */
export class LongPollOutbox {
  #lines: string[] = [];
  #size = 0;

  /** What waits, in characters. */
  get size(): number {
    return this.#size;
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  add(frame: Frame): void {
    const line = typeof frame === "string" ? frame : encodeBase64(new Uint8Array(frame));
    this.#lines.push(line);
    this.#size += line.length;
  }

  /** Takes out as many lines as go with one request, and at least one. */
  batch(): string {
    let count = 0;
    let size = 0;
    for (const line of this.#lines.slice(0, LINES_MAX)) {
      if (count > 0 && size + line.length > BATCH_CHARACTERS_MAX) break;
      count += 1;
      size += line.length;
    }
    this.#size -= size;
    return this.#lines.splice(0, count).join("\n");
  }
}
