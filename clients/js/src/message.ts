/** One message of the protocol, in either direction. */
export interface Message {
  /** The join that it belongs to; `null` on broadcasts. */
  joinRef: string | null;
  /** What an answer to it is known by, or what it answers. */
  ref: string | null;
  topic: string;
  event: string;
  /** A JSON value, or an `ArrayBuffer`. */
  payload: unknown;
}

/** The payload of a `phx_reply`. */
export interface Reply {
  status: string;
  response: unknown;
}

/** The events that belong to the protocol. */
export const EVENT = {
  join: "phx_join",
  leave: "phx_leave",
  reply: "phx_reply",
  error: "phx_error",
  close: "phx_close",
  heartbeat: "heartbeat",
} as const;

/** The topic of the connection itself. */
export const CONNECTION_TOPIC = "phoenix";

/** Whether `value` is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ArrayBuffer);
}

/** The payload of a `phx_reply` as what it should be. */
export function replyIn(payload: unknown): Reply {
  if (!isRecord(payload)) return { status: "error", response: payload };
  const { status, response } = payload;
  return { status: typeof status === "string" ? status : "error", response };
}

/** A frame of the server that is not of the protocol. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}
