import { EVENT, isRecord, replyIn } from "./message.js";

/** The name under which a position goes in both directions. */
export const LAST_SEEN_ID = "last_seen_id";

/**
 * The last message that was seen of a topic or group that keeps a history. What
 * stands in it is the server's business.
 */
export class Resume {
  #lastSeenId: string | null = null;

  get lastSeenId(): string | null {
    return this.#lastSeenId;
  }

  /** A message has come. */
  saw(payload: unknown): void {
    const id = idIn(payload);
    if (id !== null) this.#lastSeenId = id;
  }

  /**
   * A join was answered; says whether more is missing than the history holds.
   * What was missed follows the answer, so the answer's position counts only
   * where there was none, or where the old one is of no use any more.
   */
  joined(response: unknown): boolean {
    const resync = isRecord(response) && response["resync"] === true;
    if (resync || this.#lastSeenId === null) this.saw(response);
    return resync;
  }

  /** A frame of a plain socket or a stream has come; says what `joined` says. */
  sawFrame(frame: unknown): boolean {
    if (!isRecord(frame)) return false;
    const { event, ref, payload } = frame;
    // The join is not sent, so its answer answers nothing.
    if (event === EVENT.reply && ref === null) return this.joined(replyIn(payload).response);
    this.saw(payload);
    this.saw(frame);
    return false;
  }
}

function idIn(value: unknown): string | null {
  const id = isRecord(value) ? value[LAST_SEEN_ID] : undefined;
  return typeof id === "string" ? id : null;
}
