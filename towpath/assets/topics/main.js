// The chat in topics with the client of Towpath.

import { startChat } from "./chat.js";
import { Presence, Socket } from "./towpath.js";

startChat({
  Presence,
  connect: (user, longPoll) =>
    new Socket("/socket", { params: { user }, ...(longPoll ? { transport: "longpoll" } : {}) }),
});
