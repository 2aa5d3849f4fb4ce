import { decodeBinary, encodeBinary } from "./binary-frame.js";
import type { Message } from "./message.js";
import { decodeText, encodeText } from "./text-frame.js";

/** The version of the serializer, as a query names it. */
export const VERSION = "2.0.0";

/** A frame: text, or bytes. */
export type Frame = string | ArrayBuffer;

/** A message as a frame: bytes stay bytes, everything else is JSON. */
export function encode(message: Message): Frame {
  const bytes = bytesOf(message.payload);
  return bytes === undefined ? encodeText(message) : encodeBinary(message, bytes);
}

/** What a frame of a server holds. Throws a `FrameError`. */
export function decode(frame: Frame): Message {
  return typeof frame === "string" ? decodeText(frame) : decodeBinary(frame);
}

/** `value` as bytes, if it is some. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (!ArrayBuffer.isView(value)) return undefined;
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}
