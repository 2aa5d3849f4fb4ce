import type { Channel } from "./channel.js";
import { Listeners } from "./listeners.js";
import { isRecord } from "./message.js";
import {
  applyDiff,
  applyState,
  entriesIn,
  type PresenceChange,
  type PresenceEntry,
  type PresenceShift,
  type PresenceState,
} from "./presence-state.js";

/** So many diffs wait for the state that comes before them; older ones are dropped. */
const PENDING_MAX = 1000;

/** The names of the two events. */
export interface PresenceOptions {
  events?: { state: string; diff: string };
}

type Heard = [key: string, current: PresenceEntry | undefined, entry: PresenceEntry];

/** Who is in a topic, kept up to date by what its channel hears. */
export class Presence {
  readonly #channel: Channel;
  readonly #joins = new Listeners<Heard>();
  readonly #leaves = new Listeners<Heard>();
  readonly #syncs = new Listeners<[]>();
  #state: PresenceState = new Map();
  /** The join whose state has come. */
  #joinRef: string | null = null;
  #pending: unknown[] = [];
  /** The join that the pending diffs belong to. */
  #pendingRef: string | null = null;

  constructor(channel: Channel, { events = { state: "presence_state", diff: "presence_diff" } }: PresenceOptions = {}) {
    this.#channel = channel;
    channel.on(events.state, (payload) => this.#sawState(payload));
    channel.on(events.diff, (payload) => this.#sawDiff(payload));
  }

  /** Who is there, by key. */
  get state(): PresenceState {
    return this.#state;
  }

  /** Who is there, as a list in the order in which they came; `by` makes something else of each. */
  list<Item = PresenceEntry>(by?: (key: string, entry: PresenceEntry) => Item): Item[] {
    return [...this.#state].map(([key, entry]) => (by === undefined ? (entry as Item) : by(key, entry)));
  }

  /** Somebody came: the entry as it was before, if any, and the entry with the new metas. */
  onJoin(callback: (...heard: Heard) => void): () => void {
    return this.#joins.add(callback);
  }

  /** Somebody went: what is left of the entry, and the entry with the metas that went. */
  onLeave(callback: (...heard: Heard) => void): () => void {
    return this.#leaves.add(callback);
  }

  /** The state has changed. */
  onSync(callback: () => void): () => void {
    return this.#syncs.add(callback);
  }

  #sawState(payload: unknown): void {
    this.#joinRef = this.#channel.joinRef;
    this.#change(applyState(this.#state, entriesIn(payload)));
    for (const diff of this.#takePending()) this.#apply(diff);
    this.#syncs.emit();
  }

  #sawDiff(payload: unknown): void {
    if (this.#joinRef === null || this.#joinRef !== this.#channel.joinRef) {
      this.#pending = [...this.#takePending(), payload].slice(-PENDING_MAX);
      return;
    }
    this.#apply(payload);
    this.#syncs.emit();
  }

  /** The diffs of the present join. Those of an earlier one are older than the state that follows. */
  #takePending(): unknown[] {
    const pending = this.#pendingRef === this.#channel.joinRef ? this.#pending : [];
    this.#pendingRef = this.#channel.joinRef;
    this.#pending = [];
    return pending;
  }

  #apply(diff: unknown): void {
    const { joins, leaves } = isRecord(diff) ? diff : {};
    this.#change(applyDiff(this.#state, entriesIn(joins), entriesIn(leaves)));
  }

  #change({ state, joined, left }: PresenceChange): void {
    this.#state = state;
    const tell = (listeners: Listeners<Heard>) => (it: PresenceShift) => listeners.emit(it.key, it.current, it.entry);
    joined.forEach(tell(this.#joins));
    left.forEach(tell(this.#leaves));
  }
}
