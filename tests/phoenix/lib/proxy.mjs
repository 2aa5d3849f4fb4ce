// A TCP proxy before the nodes, which get its connections in turn. It can cut what goes through it, or keep WebSockets out.

import net from "node:net";

import { anyNode } from "./server.mjs";

export class Proxy {
  #sockets = new Set();
  /** What is done with a request that wants to be a WebSocket: `pass`, `refuse` or `swallow`. */
  upgrades = "pass";
  /** Whether new connections are taken. */
  takes = true;

  /** A proxy that ends with the test. */
  static async start(context) {
    const proxy = new Proxy();
    proxy.server = net.createServer((socket) => proxy.#accept(socket));
    await new Promise((resolve) => proxy.server.listen(0, "127.0.0.1", resolve));
    proxy.base = `ws://127.0.0.1:${proxy.server.address().port}`;
    context.after(() => {
      proxy.cut();
      proxy.server.close();
    });
    return proxy;
  }

  /** Breaks off every connection. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /**
   * Breaks off every connection and takes no other until it has been `noticed`: a
   * long-poll does not notice what happens between two of its requests.
   */
  async breakOff(noticed) {
    this.takes = false;
    this.cut();
    await noticed;
    this.takes = true;
  }

  #accept(socket) {
    this.#keep(socket);
    if (!this.takes) {
      socket.destroy();
      return;
    }
    socket.once("data", (head) => {
      const wantsUpgrade = /^upgrade: websocket/im.test(head.toString("latin1"));
      if (wantsUpgrade && this.upgrades === "refuse") socket.end("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
      else if (!wantsUpgrade || this.upgrades === "pass") this.#pass(socket, head);
    });
  }

  #pass(socket, head) {
    const { hostname, port } = new URL(anyNode());
    const server = net.connect(Number(port), hostname);
    this.#keep(server);
    server.write(head);
    socket.pipe(server);
    server.pipe(socket);
    socket.on("close", () => server.destroy());
    server.on("close", () => socket.destroy());
  }

  #keep(socket) {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }
}
