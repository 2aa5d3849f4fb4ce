import assert from "node:assert/strict";
import { test } from "node:test";

import { Resume } from "../build/resume.js";

test("the newest message counts", () => {
  const resume = new Resume();
  for (const payload of [{ last_seen_id: "a-1" }, { text: "no id" }, { last_seen_id: "a-2" }, null, 7]) resume.saw(payload);
  assert.equal(resume.lastSeenId, "a-2");
});

test("the answer to the first join says where it begins", () => {
  const resume = new Resume();
  assert.equal(resume.joined({ last_seen_id: "a-5" }), false);
  assert.equal(resume.lastSeenId, "a-5");
});

test("the answer to another join does not skip what is still to come", () => {
  const resume = new Resume();
  resume.saw({ last_seen_id: "a-3" });
  assert.equal(resume.joined({ last_seen_id: "a-9" }), false);
  assert.equal(resume.lastSeenId, "a-3");
});

test("after a resync the old position is of no use", () => {
  const resume = new Resume();
  resume.saw({ last_seen_id: "a-3" });
  assert.equal(resume.joined({ last_seen_id: "b-1", resync: true }), true);
  assert.equal(resume.lastSeenId, "b-1");
});

test("a frame carries its position in itself, in its payload, or in the answer to its join", () => {
  const resume = new Resume();
  const frames = [
    [{ last_seen_id: "a-1" }, false, "a-1"],
    [{ event: "new_msg", payload: { last_seen_id: "a-2" } }, false, "a-2"],
    [{ event: "phx_reply", ref: null, payload: { status: "ok", response: { last_seen_id: "a-9" } } }, false, "a-2"],
    [{ event: "phx_reply", ref: null, payload: { status: "ok", response: { last_seen_id: "b-1", resync: true } } }, true, "b-1"],
    [{ event: "said", ref: null, payload: { response: "yes", resync: true, last_seen_id: "b-2" } }, false, "b-2"],
    [{ event: "phx_reply", ref: "1", payload: { status: "ok", response: { last_seen_id: "b-9", resync: true } } }, false, "b-2"],
    [{ event: "phx_reply", ref: null, payload: null }, false, "b-2"],
    ["text", false, "b-2"],
  ];
  for (const [frame, resync, id] of frames) assert.deepEqual([resume.sawFrame(frame), resume.lastSeenId], [resync, id]);
});
