import { FrameError, type Message } from "./message.js";

/** A message as a text frame of version 2: `[join_ref, ref, topic, event, payload]`. */
export function encodeText({ joinRef, ref, topic, event, payload }: Message): string {
  return JSON.stringify([joinRef, ref, topic, event, payload]);
}

/** What a text frame holds. Throws a `FrameError`. */
export function decodeText(text: string): Message {
  const parts = parsed(text);
  if (!Array.isArray(parts) || parts.length < 5) {
    throw new FrameError("a text frame is an array of [join_ref, ref, topic, event, payload]");
  }
  const [joinRef, ref, topic, event, payload] = parts as unknown[];
  if (typeof topic !== "string" || typeof event !== "string") {
    throw new FrameError("topic and event of a text frame are strings");
  }
  return { joinRef: reference(joinRef), ref: reference(ref), topic, event, payload };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FrameError("a text frame is JSON", { cause });
  }
}

function reference(value: unknown): string | null {
  if (value === null || typeof value === "string") return value;
  throw new FrameError("join_ref and ref of a text frame are strings or null");
}
