// The chat in topics with the npm package of Phoenix, as it is.

import { LongPoll, Presence, Socket } from "./phoenix.mjs";

import { startChat } from "./chat.js";

const server = new URLSearchParams(location.search).get("server") ?? "ws://localhost:8000";

startChat({
  Presence,
  connect: (user, longPoll) =>
    new Socket(`${server}/socket`, {
      params: { user },
      ...(longPoll ? { transport: LongPoll } : { longPollFallbackMs: 3000 }),
    }),
});
