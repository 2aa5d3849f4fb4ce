// A WebSocket server on a free port whose connections a test speaks for.

import { WebSocketServer } from "ws";

const STEP_MS = 5_000;

/** A queue that is filled by events and read by a test, in order. */
export class Inbox {
  #items = [];
  #wake = () => {};

  add(item) {
    this.#items.push(item);
    this.#wake();
  }

  get length() {
    return this.#items.length;
  }

  async next(what = "item") {
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${what} within ${STEP_MS} ms`)), STEP_MS);
      this.#wake = () => {
        if (this.#items.length === 0) return;
        clearTimeout(timer);
        resolve();
      };
      this.#wake();
    });
    return this.#items.shift();
  }
}

export class Server {
  #connections = new Inbox();

  /** A server that ends with the test. */
  static async start(context) {
    const server = new Server();
    server.sockets = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    server.sockets.on("connection", (socket, request) => server.#connections.add(new Connection(socket, request)));
    await new Promise((resolve) => server.sockets.once("listening", resolve));
    server.address = `ws://127.0.0.1:${server.sockets.address().port}`;
    context.after(() => {
      for (const socket of server.sockets.clients) socket.terminate();
      server.sockets.close();
    });
    return server;
  }

  /** The next connection. */
  connection() {
    return this.#connections.next("connection");
  }
}

class Connection {
  #frames = new Inbox();

  constructor(socket, request) {
    this.socket = socket;
    this.query = new URL(request.url, "http://localhost").searchParams;
    socket.on("message", (data, isBinary) => this.#frames.add(isBinary ? data : JSON.parse(data.toString())));
  }

  /** The next frame: a JSON value, or bytes. */
  frame() {
    return this.#frames.next("frame");
  }

  send(value) {
    this.socket.send(JSON.stringify(value));
  }

  /** The next message of version 2 that is no heartbeat, as its parts. */
  async message() {
    for (;;) {
      const [joinRef, ref, topic, event, payload] = await this.frame();
      if (event !== "heartbeat") return { joinRef, ref, topic, event, payload };
      this.reply({ joinRef, ref, topic }, "ok");
    }
  }

  reply({ joinRef, ref, topic }, status, response = {}) {
    this.send([joinRef, ref, topic, "phx_reply", { status, response }]);
  }
}
