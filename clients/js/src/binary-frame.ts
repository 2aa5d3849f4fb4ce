import { EVENT, FrameError, type Message } from "./message.js";

const KIND = { push: 0, reply: 1, broadcast: 2 } as const;
const PART_BYTES_MAX = 255;

/** A message with bytes, in the layout of a client: kind, four lengths, four strings, the bytes. */
export function encodeBinary(message: Message, payload: Uint8Array): ArrayBuffer {
  const { joinRef, ref, topic, event } = message;
  const parts = [joinRef ?? "", ref ?? "", topic, event].map(part);
  const header = 1 + parts.length;
  const length = parts.reduce((sum, it) => sum + it.length, header + payload.length);
  const frame = new Uint8Array(length);
  frame.set([KIND.push, ...parts.map((it) => it.length)]);
  let at = header;
  for (const bytes of [...parts, payload]) {
    frame.set(bytes, at);
    at += bytes.length;
  }
  return frame.buffer;
}

function part(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > PART_BYTES_MAX) {
    throw new RangeError(`${text.slice(0, 40)}…: at most ${PART_BYTES_MAX} bytes go before a binary payload`);
  }
  return bytes;
}

/** What a binary frame of a server holds. Throws a `FrameError`. */
export function decodeBinary(frame: ArrayBuffer): Message {
  switch (new Uint8Array(frame)[0]) {
    case KIND.push: {
      const [parts, payload] = split(frame, 3);
      const [joinRef, topic, event] = parts as [string, string, string];
      return { joinRef: joinRef === "" ? null : joinRef, ref: null, topic, event, payload };
    }
    case KIND.reply: {
      const [parts, response] = split(frame, 4);
      const [joinRef, ref, topic, status] = parts as [string, string, string, string];
      return {
        joinRef: joinRef === "" ? null : joinRef,
        ref: ref === "" ? null : ref,
        topic,
        event: EVENT.reply,
        payload: { status, response },
      };
    }
    case KIND.broadcast: {
      const [parts, payload] = split(frame, 2);
      const [topic, event] = parts as [string, string];
      return { joinRef: null, ref: null, topic, event, payload };
    }
    default:
      throw new FrameError("a binary frame begins with 0, 1 or 2");
  }
}

/** The `count` strings of a frame, and the bytes behind them. */
function split(frame: ArrayBuffer, count: number): [string[], ArrayBuffer] {
  const bytes = new Uint8Array(frame);
  const lengths = bytes.subarray(1, 1 + count);
  const parts: string[] = [];
  let at = 1 + count;
  for (const length of lengths) {
    parts.push(new TextDecoder().decode(bytes.subarray(at, at + length)));
    at += length;
  }
  if (lengths.length < count || at > bytes.length) throw new FrameError("a binary frame is as long as it says");
  return [parts, frame.slice(at)];
}
