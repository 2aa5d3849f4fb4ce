import { encodeBase64 } from "./base64.js";
import type { Frame } from "./codec.js";

/** So many lines of a batch are taken by a server. */
const LINES_MAX = 100;
/** A request of one MiB is refused by some servers. */
const BATCH_BYTES_MAX = 1_000_000;

/** The frames that wait to be posted: one line each, text as it is, bytes in base64. */
export class LongPollOutbox {
  #lines: { text: string; bytes: number }[] = [];
  #bytes = 0;

  /** What waits, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  add(frame: Frame): void {
    const text = typeof frame === "string" ? frame : encodeBase64(new Uint8Array(frame));
    // One more for the end of the line.
    const bytes = new TextEncoder().encode(text).length + 1;
    this.#lines.push({ text, bytes });
    this.#bytes += bytes;
  }

  /** Takes out as many lines as go with one request, and at least one. */
  batch(): string {
    let count = 0;
    let bytes = 0;
    for (const line of this.#lines.slice(0, LINES_MAX)) {
      if (count > 0 && bytes + line.bytes > BATCH_BYTES_MAX) break;
      count += 1;
      bytes += line.bytes;
    }
    this.#bytes -= bytes;
    const batch = this.#lines.splice(0, count);
    return batch.map((it) => it.text).join("\n");
  }

  /** Drops what waits. */
  clear(): void {
    this.#lines = [];
    this.#bytes = 0;
  }
}
