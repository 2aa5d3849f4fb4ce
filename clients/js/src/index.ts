// The client of Towpath. `Socket` carries topics, with `Presence` on a channel;
// `PlainSocket` is a WebSocket with JSON; `Streams` is several in one.

export { Channel, type ChannelState } from "./channel.js";
export type { ConnectionOptions } from "./connection.js";
export type { HeartbeatOptions } from "./heartbeat.js";
export { FrameError } from "./message.js";
export type { Params, Source } from "./params.js";
export { PlainSocket, type PlainSocketOptions } from "./plain-socket.js";
export { Presence, type PresenceOptions } from "./presence.js";
export type { PresenceEntry, PresenceMeta, PresenceState } from "./presence-state.js";
export { Push, PushError } from "./push.js";
export { Socket, type SocketOptions } from "./socket.js";
export { Stream, Streams, type StreamError } from "./streams.js";
export type { Closed } from "./transport.js";
export type { TransportName, TransportPolicy } from "./transport-choice.js";
export type { WebSocketClass } from "./web-socket-transport.js";
