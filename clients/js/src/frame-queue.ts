import type { Frame } from "./codec.js";

/** Frames that wait for a connection, so many and so large together. */
export class FrameQueue {
  #frames: Frame[] = [];
  #size = 0;

  constructor(
    readonly countMax: number,
    readonly sizeMax: number,
  ) {}

  /** Adds one, or says that there is no room for it. */
  add(frame: Frame): boolean {
    const size = this.#size + (typeof frame === "string" ? frame.length : frame.byteLength);
    if (this.#frames.length >= this.countMax || size > this.sizeMax) return false;
    this.#frames.push(frame);
    this.#size = size;
    return true;
  }

  /** Takes all, oldest first. */
  take(): Frame[] {
    this.#size = 0;
    return this.#frames.splice(0);
  }
}
