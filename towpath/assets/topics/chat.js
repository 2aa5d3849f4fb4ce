// A chat in topics: rooms, who is here, who is typing, and what was missed after a reconnect.
// It takes any client with the sockets and the presence of the phoenix package.

const TYPING_MS = 3000;

const byId = (id) => document.getElementById(id);

/** `connect(user, longPoll)` makes a socket, `Presence` is its client's. */
export function startChat({ Presence, connect }) {
  const entry = byId("entry");
  const composer = byId("composer");
  let room = null;
  fillFrom(entry, new URLSearchParams(location.hash.slice(1)));

  entry.addEventListener("submit", (event) => {
    event.preventDefault();
    const user = entry.elements.user.value.trim();
    const name = entry.elements.room.value.trim();
    if (user === "" || name === "") return;
    const longPoll = entry.elements.longPoll.checked;
    location.hash = new URLSearchParams({ user, room: name, ...(longPoll ? { longPoll } : {}) });
    room?.leave();
    byId("log").replaceChildren();
    room = new Room({ socket: connect(user, longPoll), Presence, user, topic: `chat:${name}` });
    composer.elements.text.focus();
  });

  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    const field = composer.elements.text;
    const text = field.value.trim();
    if (text === "" || room === null) return;
    room.say(text);
    field.value = "";
  });

  composer.elements.text.addEventListener("input", () => room?.type());
  if (entry.checkValidity()) entry.requestSubmit();
}

function fillFrom(entry, values) {
  entry.elements.user.value = values.get("user") ?? "";
  entry.elements.room.value = values.get("room") ?? "lobby";
  entry.elements.longPoll.checked = values.has("longPoll");
}

/** One room that the user is in. */
class Room {
  #socket;
  #channel;
  #presence;
  #user;
  #lastSeenId = null;
  #typing = null;
  #left = false;

  constructor({ socket, Presence, user, topic }) {
    this.#socket = socket;
    this.#user = user;
    this.#channel = socket.channel(topic, () => this.#params());
    this.#presence = new Presence(this.#channel);
    this.#presence.onSync(() => this.#showPeople());
    this.#channel.on("new_msg", (message) => this.#show(message));
    this.#channel.onError(() => this.#state("connecting"));
    this.#channel
      .join()
      .receive("ok", (response) => this.#joined(response))
      .receive("error", ({ reason }) => this.#refused(reason));
    socket.onError(() => this.#state("offline"));
    this.#state("connecting");
    socket.connect();
  }

  say(text) {
    this.#stopTyping();
    this.#channel
      .push("new_msg", { text })
      .receive("error", ({ reason }) => note(`not said: ${reason}`))
      .receive("timeout", () => note("nobody knows whether this was said"));
  }

  /** A key was pressed: everybody is told once, and once more when it has been quiet for a while. */
  type() {
    if (this.#typing === null) this.#channel.push("typing", { typing: true });
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#stopTyping(), TYPING_MS);
  }

  leave() {
    this.#left = true;
    clearTimeout(this.#typing);
    this.#channel.leave();
    this.#socket.disconnect();
    byId("people").replaceChildren();
    byId("typing").textContent = "";
  }

  /** What was missed since the last message that was seen comes after the join. */
  #params() {
    return this.#lastSeenId === null ? {} : { last_seen_id: this.#lastSeenId };
  }

  #joined({ last_seen_id, resync }) {
    if (resync) note("some messages were missed");
    if (resync || this.#lastSeenId === null) this.#lastSeenId = last_seen_id ?? null;
    this.#typing = null;
    this.#state("online");
  }

  #refused(reason) {
    this.#state("offline");
    note(`not let in: ${reason}`);
  }

  #stopTyping() {
    if (this.#typing === null) return;
    clearTimeout(this.#typing);
    this.#typing = null;
    this.#channel.push("typing", { typing: false });
  }

  #show({ user, text, at, last_seen_id }) {
    this.#lastSeenId = last_seen_id ?? this.#lastSeenId;
    const item = document.createElement("li");
    item.classList.toggle("own", user === this.#user);
    const who = document.createElement("b");
    who.textContent = at === undefined ? user : `${user}, ${new Date(at).toLocaleTimeString()}`;
    item.append(who, text);
    add(item);
  }

  #showPeople() {
    const people = this.#presence.list((name, { metas }) => ({
      name,
      places: metas.length,
      typing: metas.some((it) => it.typing),
    }));
    byId("people").replaceChildren(...people.map(({ name, places }) => person(name, places)));
    const typing = people.filter((it) => it.typing && it.name !== this.#user).map((it) => it.name);
    byId("typing").textContent = typing.length === 0 ? "" : `${typing.join(", ")} typing…`;
  }

  #state(state) {
    if (this.#left) return;
    const shown = byId("state");
    shown.dataset.state = state;
    shown.textContent = state;
    for (const field of byId("composer").elements) field.disabled = state !== "online";
  }
}

function person(name, places) {
  const item = document.createElement("li");
  item.textContent = name;
  if (places > 1) item.append(Object.assign(document.createElement("small"), { textContent: `${places} tabs` }));
  return item;
}

function note(text) {
  const item = document.createElement("li");
  item.className = "note";
  item.textContent = text;
  add(item);
}

/** Appends to the log, and keeps its end in sight if it was. */
function add(item) {
  const log = byId("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(item);
  if (atEnd) log.scrollTop = log.scrollHeight;
}
