import { isRecord } from "./message.js";

/** One place where somebody is: a tab, a device. */
export interface PresenceMeta {
  /** Unique for this meta. */
  phx_ref: string;
  /** The meta that this one replaces. */
  phx_ref_prev?: string;
  [name: string]: unknown;
}

/** Somebody who is there, with one meta for each place. */
export interface PresenceEntry {
  metas: PresenceMeta[];
  [name: string]: unknown;
}

/** Who is there, by key. A map, because a key may be any word, `__proto__` too. */
export type PresenceState = ReadonlyMap<string, PresenceEntry>;

/** Somebody who came or went. */
export interface PresenceShift {
  key: string;
  /** Coming: the entry as it was before. Going: what is left of it. */
  current: PresenceEntry | undefined;
  /** The entry with the metas that came or went. */
  entry: PresenceEntry;
}

/** A state and how it came from the one before. */
export interface PresenceChange {
  state: PresenceState;
  joined: PresenceShift[];
  left: PresenceShift[];
}

/** The payload of `presence_state`, or a half of a `presence_diff`, as a map. */
export function entriesIn(payload: unknown): PresenceState {
  const entries = new Map<string, PresenceEntry>();
  if (!isRecord(payload)) return entries;
  for (const [key, entry] of Object.entries(payload)) {
    if (isRecord(entry) && Array.isArray(entry["metas"])) entries.set(key, entry as PresenceEntry);
  }
  return entries;
}

/** The change that leads from `current` to `next`; metas are the same if their `phx_ref` is. */
export function applyState(current: PresenceState, next: PresenceState): PresenceChange {
  return applyDiff(current, without(next, current), without(current, next));
}

/** The change that a diff makes. A meta that is there does not come again; one that is not there does not go. */
export function applyDiff(current: PresenceState, joins: PresenceState, leaves: PresenceState): PresenceChange {
  const state = new Map(current);
  const joined: PresenceShift[] = [];
  const left: PresenceShift[] = [];
  for (const [key, entry] of joins) {
    const before = state.get(key);
    const come = missing(entry, before);
    state.set(key, { ...entry, metas: [...missing(before, entry), ...entry.metas] });
    if (come.length > 0) joined.push({ key, current: before, entry: { ...entry, metas: come } });
  }
  for (const [key, entry] of leaves) {
    const before = state.get(key);
    if (before === undefined) continue;
    const stays = missing(before, entry);
    const gone = missing(entry, { metas: missing(entry, before) });
    if (gone.length === 0) continue;
    const rest = { ...before, metas: stays };
    if (stays.length === 0) state.delete(key);
    else state.set(key, rest);
    left.push({ key, current: rest, entry: { ...entry, metas: gone } });
  }
  return { state, joined, left };
}

/** The entries of `all` with the metas that `known` has not, if there are any. */
function without(all: PresenceState, known: PresenceState): PresenceState {
  const rest = new Map<string, PresenceEntry>();
  for (const [key, entry] of all) {
    const metas = missing(entry, known.get(key));
    if (metas.length > 0) rest.set(key, { ...entry, metas });
  }
  return rest;
}

/** The metas of `entry` that are not in `other`. */
function missing(entry: PresenceEntry | undefined, other: PresenceEntry | undefined): PresenceMeta[] {
  const refs = new Set(other?.metas.map((it) => it.phx_ref));
  return entry?.metas.filter((it) => !refs.has(it.phx_ref)) ?? [];
}
