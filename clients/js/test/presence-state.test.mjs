import assert from "node:assert/strict";
import { test } from "node:test";

import { applyDiff, applyState, entriesIn } from "../build/presence-state.js";

const metas = (...refs) => ({ metas: refs.map((phx_ref) => ({ phx_ref })) });
const entries = (object) => entriesIn(object);
const plain = (state) => Object.fromEntries(state);
const told = (shifts) => shifts.map(({ key, entry }) => [key, ...entry.metas.map((it) => it.phx_ref)]);

test("the first state is all joins", () => {
  const { state, joined, left } = applyState(new Map(), entries({ ann: metas("1"), bob: metas("2", "3") }));
  assert.deepEqual(plain(state), { ann: metas("1"), bob: metas("2", "3") });
  assert.deepEqual([told(joined), told(left)], [[["ann", "1"], ["bob", "2", "3"]], []]);
});

test("the same state again changes nothing", () => {
  const before = entries({ ann: metas("1"), bob: metas("2") });
  const { state, joined, left } = applyState(before, entries({ ann: metas("1"), bob: metas("2") }));
  assert.deepEqual(state, before);
  assert.deepEqual([joined, left], [[], []]);
});

test("a new state tells only what differs", () => {
  const before = entries({ ann: metas("1"), bob: metas("2", "3"), cleo: metas("4") });
  const { state, joined, left } = applyState(before, entries({ ann: metas("1", "5"), bob: metas("3"), dan: metas("6") }));
  assert.deepEqual(plain(state), { ann: metas("1", "5"), bob: metas("3"), dan: metas("6") });
  assert.deepEqual(told(joined), [["ann", "5"], ["dan", "6"]]);
  assert.deepEqual(told(left), [["bob", "2"], ["cleo", "4"]]);
});

test("new metas come behind those that are there", () => {
  const { state, joined } = applyDiff(entries({ ann: metas("1") }), entries({ ann: metas("2") }), new Map());
  assert.deepEqual(plain(state), { ann: metas("1", "2") });
  assert.deepEqual(joined[0].current, metas("1"));
});

test("a meta that is there does not come twice", () => {
  const { state, joined } = applyDiff(entries({ ann: metas("1", "2") }), entries({ ann: metas("2", "3") }), new Map());
  assert.deepEqual([plain(state), told(joined)], [{ ann: metas("1", "2", "3") }, [["ann", "3"]]]);
  assert.deepEqual(applyDiff(state, entries({ ann: metas("2") }), new Map()).joined, []);
});

test("a meta that is not there does not go", () => {
  const { state, left } = applyDiff(entries({ ann: metas("1", "2") }), new Map(), entries({ ann: metas("2", "3") }));
  assert.deepEqual([plain(state), told(left)], [{ ann: metas("1") }, [["ann", "2"]]]);
  assert.deepEqual(applyDiff(state, new Map(), entries({ ann: metas("2") })).left, []);
});

test("with the last meta the key goes", () => {
  const { state, left } = applyDiff(entries({ ann: metas("1", "2") }), new Map(), entries({ ann: metas("1", "2") }));
  assert.equal(state.size, 0);
  assert.deepEqual(left[0].current, metas());
});

test("an update is one diff: the old meta goes, the new one stays", () => {
  const next = { metas: [{ phx_ref: "2", phx_ref_prev: "1", typing: true }] };
  const { state } = applyDiff(entries({ ann: metas("1") }), entries({ ann: next }), entries({ ann: metas("1") }));
  assert.deepEqual(plain(state), { ann: next });
});

test("who is not there cannot leave", () => {
  const { state, left } = applyDiff(new Map(), new Map(), entries({ ann: metas("1") }));
  assert.deepEqual([state.size, left], [0, []]);
});

test("what fetch added is kept and replaced with the entry", () => {
  const before = entries({ ann: { name: "Ann", ...metas("1") } });
  assert.equal(applyDiff(before, entries({ ann: { name: "Anna", ...metas("2") } }), new Map()).state.get("ann").name, "Anna");
  assert.equal(applyDiff(before, new Map(), entries({ bob: metas("9") })).state.get("ann").name, "Ann");
});

test("a key may be called like a part of every object", () => {
  const joins = entries(JSON.parse('{"__proto__":{"metas":[{"phx_ref":"1"}]},"constructor":{"metas":[{"phx_ref":"2"}]}}'));
  const { state } = applyDiff(new Map(), joins, new Map());
  assert.deepEqual([...state.keys()], ["__proto__", "constructor"]);
  const gone = applyState(state, new Map());
  assert.equal(gone.state.size, 0);
  assert.equal({}.metas, undefined);
});

test("the states before are not changed", () => {
  const before = entries({ ann: metas("1"), bob: metas("2") });
  applyDiff(before, entries({ ann: metas("3") }), entries({ bob: metas("2") }));
  assert.deepEqual(plain(before), { ann: metas("1"), bob: metas("2") });
});

test("what is no presence is left out", () => {
  assert.equal(entriesIn(null).size, 0);
  assert.deepEqual([...entriesIn({ a: 1, b: { metas: 2 }, ann: metas("1") }).keys()], ["ann"]);
});
