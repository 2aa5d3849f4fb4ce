import type { Budget } from "./budget.js";
import type { Push } from "./push.js";

/** A push and what it says. */
export interface WaitingPush {
  push: Push;
  payload: unknown;
}

/** The pushes of one channel that wait for its topic to be joined. The channels of a socket share a budget. */
export class WaitingPushes {
  readonly #budget: Budget;
  #all: WaitingPush[] = [];

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Adds one, or says that there is no room for it. */
  add(push: Push, payload: unknown): boolean {
    if (!this.#budget.take()) return false;
    this.#all.push({ push, payload });
    return true;
  }

  /** Takes one out, if it is there. */
  remove(push: Push): void {
    const at = this.#all.findIndex((it) => it.push === push);
    if (at < 0) return;
    this.#all.splice(at, 1);
    this.#budget.give(1);
  }

  /** Takes all out, oldest first. */
  take(): WaitingPush[] {
    const all = this.#all;
    this.#all = [];
    this.#budget.give(all.length);
    return all;
  }
}
